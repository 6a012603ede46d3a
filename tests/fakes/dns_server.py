"""A DNS server on loopback that answers from a table, for the real resolver of dnspython."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from collector.jobs.sources import Resolve

Records = Mapping[tuple[str, str], list[str]]
"""(name, type) -> records as in a zone file; a name that is not there does not exist."""


@contextlib.asynccontextmanager
async def dns_serving(records: Records) -> AsyncIterator[Resolve]:
    """Runs the server; yields a resolver that asks it alone."""

    class Answers(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            query = dns.message.from_wire(data)
            (question,) = query.question
            answer = dns.message.make_response(query)
            answer.flags |= dns.flags.RA
            found = records.get((str(question.name), dns.rdatatype.to_text(question.rdtype)))
            if found is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            else:
                answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *found))
            self.transport.sendto(answer.to_wire(), address)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Answers, local_addr=("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = transport.get_extra_info("sockname")[1]

    async def resolve(name: str, kind: str) -> list[Any]:
        return list(await resolver.resolve(name, kind, search=False, lifetime=5.0))

    try:
        yield resolve
    finally:
        transport.close()
