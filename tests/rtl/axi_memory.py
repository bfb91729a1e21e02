"""A memory behind an AXI4 manager, in Amaranth's simulator: random latency and stalls, faults, protocol checks."""

from collections import deque

PAGE = 4096
OKAY, SLVERR = 0, 2
ADDRESS = ("addr", "len", "size", "burst", "id", "prot", "cache")


class AxiMemory:
    """Answers a component's bursts from `words` (by word number; unwritten ones read as `content(word)`).

    `stall` is the probability that a channel does nothing in a cycle, `latency` the most cycles to an answer. Answers
    of one ID come in order, those of different IDs in any. Channels named in `dead` ("ar", "r", "aw", "w", "b") do
    nothing; words in `bad` answer with an error. `bursts` records (channel, first word, beats, id, cycle).
    """

    def __init__(self, device, bus_bytes, rng, stall=0.0, latency=0):
        self._device = device
        self._bytes = bus_bytes
        self._rng = rng
        self.stall = stall
        self.latency = latency
        self.dead = set()
        self.bad = set()
        self.words = {}
        self.bursts = []
        self.cycle = 0
        self.last_move = 0  #: cycle of the last handshake on any channel
        self._due = {"r": {0: deque(), 1: deque()}, "b": {0: deque(), 1: deque()}}
        self._offer = {"r": None, "b": None}
        self._held = {}
        self._addresses = deque()  # bursts whose data is not complete: [address, beats left, id, bad]
        self._data = deque()  # beats whose address has not been taken
        self._shown = False  # the current AW has been counted
        self._early = 0  # bursts whose address was valid, minus those whose data is complete

    def content(self, word):
        """Any function of the address."""
        return self.words.get(word, (word * 0x9E3779B97F4A7C15 ^ word << 40) % (1 << 8 * self._bytes))

    @property
    def writing(self):
        """Bursts or beats that have been taken without the rest."""
        return bool(self._addresses or self._data)

    @property
    def owed(self):
        """Answers that the memory owes."""
        return sum(len(queue) for ids in self._due.values() for queue in ids.values())

    def _on(self, channel):
        return channel not in self.dead and self._rng.random() >= self.stall

    def _choose(self, channel):
        if self._offer[channel] is None and self._on(channel):
            ready = [key for key, queue in self._due[channel].items() if queue and queue[0][0] <= self.cycle]
            if ready:
                key = self._rng.choice(ready)
                self._offer[channel] = (key, *self._due[channel][key].popleft()[1:])

    async def run(self, ctx):
        """The testbench process; to be added in the background."""
        device = self._device
        names = [f"{prefix}{name}" for prefix in ("ar", "aw") for name in (*ADDRESS, "valid")]
        names += ["wdata", "wstrb", "wlast", "wvalid", "rready", "bready"]
        while True:
            ready = {channel: self._on(channel) for channel in ("ar", "aw", "w")}
            for channel, value in ready.items():
                ctx.set(getattr(device, f"{channel}ready"), value)
            for channel in ("r", "b"):
                self._choose(channel)
                offer = self._offer[channel]
                ctx.set(getattr(device, f"{channel}valid"), offer is not None)
                key, response, data, last = offer or [self._rng.getrandbits(1)] * 4
                ctx.set(getattr(device, f"{channel}id"), key)
                ctx.set(getattr(device, f"{channel}resp"), response)
                if channel == "r":
                    ctx.set(device.rdata, data)
                    ctx.set(device.rlast, last)
            _, _, *values = await ctx.tick().sample(*(getattr(device, name) for name in names))
            self._step(dict(zip(names, values, strict=True)), ready)
            self.cycle += 1

    def _step(self, now, ready):
        for channel, fields in (("ar", ADDRESS), ("aw", ADDRESS), ("w", ("data", "strb", "last"))):
            payload = tuple(now[f"{channel}{name}"] for name in fields) if now[f"{channel}valid"] else None
            held = self._held.get(channel)
            assert held is None or payload == held, f"{channel}: {held} became {payload} before ready"
            self._held[channel] = None if ready[channel] else payload
        if now["awvalid"] and not self._shown:
            self._early += 1
        self._shown = now["awvalid"] and not ready["aw"]
        if now["wvalid"]:
            assert self._early > 0, "data before its address"
        if now["arvalid"] and ready["ar"]:
            word, beats = self._burst("ar", now)
            for beat in range(beats):
                self._answer("r", now["arid"], word + beat, beat == beats - 1)
        if now["awvalid"] and ready["aw"]:
            word, beats = self._burst("aw", now)
            self._addresses.append([word, beats, now["awid"], False])
            self._late_data()
        if now["wvalid"] and ready["w"]:
            self.last_move = self.cycle
            assert now["wstrb"] == (1 << self._bytes) - 1
            self._data.append((now["wdata"], now["wlast"]))
            self._early -= now["wlast"]
            self._late_data()
        for channel in ("r", "b"):
            if self._offer[channel] is not None and now[f"{channel}ready"]:
                self._offer[channel] = None
                self.last_move = self.cycle

    def _late_data(self):
        """Writes the beats whose address is known: data may be taken before its address."""
        while self._data and self._addresses:
            burst = self._addresses[0]
            value, last = self._data.popleft()
            self.words[burst[0]] = value
            burst[3] |= burst[0] in self.bad
            burst[0] += 1
            burst[1] -= 1
            assert last == (burst[1] == 0), f"wlast {last} with {burst[1]} beats left"
            if last:
                self._addresses.popleft()
                self._answer("b", burst[2], burst[0] - 1, True, burst[3])

    def _burst(self, channel, now):
        self.last_move = self.cycle
        address, beats = now[f"{channel}addr"], now[f"{channel}len"] + 1
        assert now[f"{channel}size"] == self._bytes.bit_length() - 1
        assert (now[f"{channel}burst"], now[f"{channel}prot"], now[f"{channel}cache"]) == (1, 0, 3)
        assert address % self._bytes == 0
        assert beats <= 16
        assert address // PAGE == (address + beats * self._bytes - 1) // PAGE, "burst crosses a page"
        self.bursts.append((channel, address // self._bytes, beats, now[f"{channel}id"], self.cycle))
        return address // self._bytes, beats

    def _answer(self, channel, key, word, last, bad=False):
        response = SLVERR if bad or word in self.bad else OKAY
        due = self.cycle + 1 + self._rng.randint(0, self.latency)
        self._due[channel][key].append((due, response, self.content(word), last))
