"""Errors: everything that can go wrong, in one tree, and the decisions that are not errors.

ScrapeError
├── UsageError                  a person must put something right: exit code 2
│   ├── ProjectError            no project here, unknown spider, broken import
│   ├── SettingsError           a setting that does not exist or has a wrong value
│   ├── ArgumentError           a spider argument (`-a`) that does not fit
│   ├── FeedError               an output file that can't be written as asked
│   ├── RunError                a run that does not exist, is locked, or can't be resumed
│   └── MissingExtra            an optional library is not installed
├── StorageError                the run's disk failed under the crawl: exit code 1, resumable
├── PipelineError               a pipeline raised; `__cause__` says what
├── CallbackError               a callback raised or yielded what it may not
└── FetchError                  a response did not arrive; `request` says which
    ├── StatusError             it arrived with a status that the request does not call ok
    │   └── SessionBlocked      retryable: as `[sessions]` says, the site has blocked the session that asked
    ├── LoginFailed             the spider's login() of the request's session
    ├── TooManyRedirects
    ├── BodyTooLarge            more than `max_body` bytes, on the wire or decoded
    ├── BodyUndecodable         the Content-Encoding and the body do not match
    ├── InvalidRequest          the client can't send it: a bad header, URL or proxy
    ├── NetworkError            retryable
    │   ├── NameNotResolved
    │   ├── ConnectionRefused
    │   ├── ConnectionLost      reset or closed before the response was whole
    │   ├── BodyTruncated       fewer bytes than Content-Length or the last chunk promised
    │   ├── ProtocolViolation   what came back is not HTTP
    │   ├── TLSFailed           not retryable: the next attempt meets the same certificate
    │   └── ProxyFailed         the proxy, not the site
    │       └── ProxyRefused    the proxy answers, but did not get through to the site: either may be at fault
    └── TimedOut                retryable
        ├── ConnectTimeout · ReadTimeout · WriteTimeout · PoolTimeout · TotalTimeout

Decision                        said by a spider, a middleware or a pipeline; never an error
├── DropItem(reason)            a pipeline does not want this item
├── DropRequest(reason)         a middleware does not want this request fetched
├── Retry(reason, delay=)       a callback wants its page again, `rotate_session=True` as somebody else
├── RetryLater(delay, why)      the retry middleware: this attempt failed, there will be another
└── StopCrawl(reason)           enough: end the crawl, keep the rest for a resume
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from scraper.request import Request


class ScrapeError(Exception):
    """The root of every error that the framework raises."""


class UsageError(ScrapeError):
    """Something a person must put right before the crawl can start; the message says what."""


class ProjectError(UsageError):
    pass


class SettingsError(UsageError):
    pass


class ArgumentError(UsageError):
    pass


class FeedError(UsageError):
    pass


class RunError(UsageError):
    pass


class JobError(UsageError):
    """A job is in no state for what is asked of it."""


class NoSuchJob(JobError):
    """No job has this id."""


class MissingExtra(UsageError):
    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional library: run `pip install 'scrapeloom[{extra}]'`.")


class StorageError(ScrapeError):
    """The run's folder can't be written (disk full, read-only, locked); what was committed is safe."""


class PipelineError(ScrapeError):
    def __init__(self, pipeline: str, cause: BaseException) -> None:
        super().__init__(f"Pipeline {pipeline} raised {type(cause).__name__}: {cause}")
        self.reason = f"pipeline {pipeline} raised {type(cause).__name__}"


class CallbackError(ScrapeError):
    def __init__(self, callback: str, what: str) -> None:
        super().__init__(f"Callback {callback} {what}")
        self.reason = f"callback {callback} {what.split(':')[0]}"


class FetchError(ScrapeError):
    """A response that did not arrive as asked.

    `retryable`: whether another attempt may help. `reason`: a few words that do not vary with the URL, for
    counting and for `scrape retry --reason`. `proxy`: the name of the one it was tried through.
    `again_in`: seconds before which another attempt is of no use.
    """

    retryable: ClassVar[bool] = False
    reason: str = "fetch failed"
    proxy: str = ""
    again_in: float = 0.0

    def __init__(self, message: str = "", *, request: Request | None = None) -> None:
        super().__init__(message or self.reason)
        self.request = request


class StatusError(FetchError):
    def __init__(
        self, status: int, *, request: Request | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"The site answered with status {status}.", request=request)
        self.status = status
        self.retry_after = retry_after  # seconds, as the response's Retry-After asks (RFC 9110 §10.2.3)
        self.reason = f"status {status}"


class SessionBlocked(StatusError):
    """The request's session has a new identity by now: another attempt goes as somebody else."""

    retryable = True

    def __init__(self, signal: str, status: int, **more: Any) -> None:
        super().__init__(status, **more)
        self.args = (f"The site has blocked the session: {signal}.",)
        self.reason = f"blocked: {signal}"


class LoginFailed(FetchError):
    reason = "login failed"


class TooManyRedirects(FetchError):
    reason = "too many redirects"


class BodyTooLarge(FetchError):
    reason = "body too large"


class BodyUndecodable(FetchError):
    reason = "body undecodable"


class InvalidRequest(FetchError):
    reason = "invalid request"


class NetworkError(FetchError):
    retryable = True
    reason = "network error"


class NameNotResolved(NetworkError):
    reason = "name not resolved"


class ConnectionRefused(NetworkError):
    reason = "connection refused"


class ConnectionLost(NetworkError):
    reason = "connection lost"


class BodyTruncated(NetworkError):
    reason = "body truncated"


class ProtocolViolation(NetworkError):
    reason = "protocol violation"


class TLSFailed(NetworkError):
    retryable = False
    reason = "TLS failed"


class ProxyFailed(NetworkError):
    reason = "proxy failed"


class ProxyRefused(ProxyFailed):
    reason = "proxy refused"


class TimedOut(FetchError):
    retryable = True
    reason = "timed out"


class ConnectTimeout(TimedOut):
    reason = "connect timeout"


class ReadTimeout(TimedOut):
    reason = "read timeout"


class WriteTimeout(TimedOut):
    reason = "write timeout"


class PoolTimeout(TimedOut):
    """No slot on the wire became free in time: the page goes back to the queue, the attempt is not counted."""

    reason = "pool timeout"


class TotalTimeout(TimedOut):
    reason = "total timeout"


class Decision(Exception):
    """What a part decides about an item or a request; caught by the engine, never logged as a failure."""


class DropItem(Decision):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class DropRequest(Decision):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Retry(Decision):
    """Raised by a callback: throw this page's results away and fetch it again.

    `delay` in seconds; None asks the retry settings. It counts as an attempt: after the last one the page
    fails with `reason`. `rotate_session`: its session goes on as somebody else: without its cookies, through
    another proxy, logged in anew.
    """

    def __init__(self, reason: str, *, delay: float | None = None, rotate_session: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.delay = delay
        self.rotate_session = rotate_session


class RetryLater(Decision):
    """`delay` in seconds. Where `counted` is false the attempt is given back (no slot was free).

    `status`, `proxy`: what answered this attempt, and the name of the proxy that it went through.
    """

    def __init__(
        self, delay: float, why: str, *, counted: bool = True, status: int | None = None, proxy: str = ""
    ) -> None:
        super().__init__(why)
        self.delay = delay
        self.reason = why
        self.counted = counted
        self.status = status
        self.proxy = proxy


class StopCrawl(Decision):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
