"""curl's errors as ours."""

from __future__ import annotations

from curl_cffi import CurlECode, CurlError

from scraper import errors
from scraper.request import Request

FOREIGN = (CurlError, ValueError)


def translated(error: BaseException, request: Request) -> errors.FetchError:
    """curl's error as ours: the one door for them."""
    kind, said = _kind(error), str(error).partition(". See https://curl.se")[0]
    if request.proxy and issubclass(kind, errors.NameNotResolved | errors.ConnectionRefused):
        kind = errors.ProxyFailed
    return kind(f"{kind.reason}: {said}" if kind is not errors.FetchError else said, request=request)


def _kind(error: BaseException) -> type[errors.FetchError]:
    if not isinstance(error, CurlError):
        return errors.InvalidRequest
    said = str(error)
    return next(
        (kind for text, kind in TOLD if text in said), KINDS.get(CurlECode(error.code), errors.FetchError)
    )


TOLD: list[tuple[str, type[errors.FetchError]]] = [
    ("CONNECT tunnel failed, response 407", errors.ProxyFailed),
    ("CONNECT tunnel failed", errors.ProxyRefused),
    ("cannot complete SOCKS4 connection to", errors.ProxyRefused),
    ("cannot complete SOCKS5 connection to", errors.ProxyRefused),
    ("SSL_ERROR_SYSCALL", errors.ConnectionLost),  # it ended in the handshake
    ("chunk hex-length", errors.ProtocolViolation),
    ("chunked-encoding", errors.ProtocolViolation),
]
KINDS: dict[CurlECode, type[errors.FetchError]] = {
    CurlECode.UNSUPPORTED_PROTOCOL: errors.ProtocolViolation,  # HTTP/0.9: no scheme but ours gets here
    CurlECode.URL_MALFORMAT: errors.InvalidRequest,
    CurlECode.COULDNT_RESOLVE_PROXY: errors.ProxyFailed,
    CurlECode.COULDNT_RESOLVE_HOST: errors.NameNotResolved,
    CurlECode.COULDNT_CONNECT: errors.ConnectionRefused,
    CurlECode.WEIRD_SERVER_REPLY: errors.ProtocolViolation,
    CurlECode.HTTP2: errors.ProtocolViolation,
    CurlECode.HTTP3: errors.ProtocolViolation,
    CurlECode.PARTIAL_FILE: errors.BodyTruncated,
    CurlECode.OPERATION_TIMEDOUT: errors.ConnectTimeout,  # no other timeout of curl's is on
    CurlECode.SSL_CONNECT_ERROR: errors.TLSFailed,
    CurlECode.SSL_CERTPROBLEM: errors.TLSFailed,
    CurlECode.SSL_CIPHER: errors.TLSFailed,
    CurlECode.PEER_FAILED_VERIFICATION: errors.TLSFailed,
    CurlECode.SSL_CACERT_BADFILE: errors.TLSFailed,
    CurlECode.SSL_CLIENTCERT: errors.TLSFailed,
    CurlECode.QUIC_CONNECT_ERROR: errors.ConnectionRefused,
    CurlECode.GOT_NOTHING: errors.ConnectionLost,
    CurlECode.SEND_ERROR: errors.ConnectionLost,
    CurlECode.RECV_ERROR: errors.ConnectionLost,
    CurlECode.SEND_FAIL_REWIND: errors.ConnectionLost,  # it would have sent the body again
    CurlECode.HTTP2_STREAM: errors.ConnectionLost,
    CurlECode.PROXY: errors.ProxyFailed,
    CurlECode.TOO_LARGE: errors.ProtocolViolation,
}
