"""Networks of clients: the part of an address that is kept."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

IPV4_PREFIX_LENGTH = 24
"""Bits of an IPv4 address that are kept."""

IPV6_PREFIX_LENGTH = 48
"""Bits of an IPv6 address that are kept: what a site gets."""

UNKNOWN_NETWORK = "0.0.0.0/24"
"""The network of a request whose address is not known."""


def network_of(address: str) -> str:
    """Return the network of an address: `192.0.2.0/24`, or an IPv6 /48. An IPv4 address within IPv6 counts as IPv4."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return UNKNOWN_NETWORK
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    length = IPV6_PREFIX_LENGTH if isinstance(parsed, IPv6Address) else IPV4_PREFIX_LENGTH
    return str(ip_network((parsed, length), strict=False))
