"""Pages that can be held up, and how often each was asked for."""

from collections import Counter

from tests.faulty import FaultySite
from tests.faulty.message import Answer, Request
from tests.faulty.wire import Wire
from tests.worker.proof.sites import Gate


class Hall(FaultySite):
    """The faulty site, which keeps whoever asks for a path that begins with `closed` waiting. `most`: at once."""

    def __init__(self, closed: str = "/ok/held") -> None:
        super().__init__()
        self.closed = closed
        self.gate = Gate()
        self.gate.allow(0)
        self.times: Counter[str] = Counter()
        self.now = 0
        self.most = 0

    async def _answer(self, request: Request, wire: Wire) -> Answer | None:
        self.times[request.path] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if request.path.startswith(self.closed):
                await self.gate.through()
            return await super()._answer(request, wire)
        finally:
            self.now -= 1
