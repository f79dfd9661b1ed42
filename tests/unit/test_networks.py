"""The network that is kept of a client's address."""

from __future__ import annotations

import pytest

from ferry.rules.networks import UNKNOWN_NETWORK, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", UNKNOWN_NETWORK),
        ("192.0.2.77:443", UNKNOWN_NETWORK),
        ("no address", UNKNOWN_NETWORK),
    ],
)
def test_network_of_address_is_truncated(address: str, network: str) -> None:
    """An IPv4 address becomes its /24, an IPv6 address its /48, and anything else the unknown network."""
    assert network_of(address) == network
