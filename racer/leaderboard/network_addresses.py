"""The addresses and names by which other machines reach this one."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import urlsplit

SIOCGIFADDR = 0x8915
"""Linux's request for the IPv4 address of an interface (netdevice(7))."""
OUTSIDE_ADDRESS = "192.0.2.1"
"""A reserved address (RFC 5737) that no machine has, to find the interface to other networks."""


def network_addresses() -> list[str]:
    """Return this machine's IPv4 addresses; first the one by which it reaches other networks."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        found = _addresses_of_interfaces(probe)
        with suppress(OSError):
            probe.connect((OUTSIDE_ADDRESS, 9))  # sends nothing
            found.insert(0, probe.getsockname()[0])
    return [one for one in dict.fromkeys(found) if not ipaddress.ip_address(one).is_loopback]


def _addresses_of_interfaces(probe: socket.socket) -> list[str]:
    """Return the IPv4 addresses of all interfaces; off Linux those that the host name has."""
    found = []
    if sys.platform != "linux":
        with suppress(OSError):  # the name may not be known
            found += socket.gethostbyname_ex(socket.gethostname())[2]
        return found
    from fcntl import ioctl

    for _, name in socket.if_nameindex():
        with suppress(OSError):  # an interface without an address
            asked = struct.pack("256s", name.encode()[:15])
            found.append(socket.inet_ntoa(ioctl(probe, SIOCGIFADDR, asked)[20:24]))
    return found


def machine_names() -> list[str]:
    """Return this machine's host name, full and short, and its name in multicast DNS."""
    name = socket.gethostname().lower()
    if not name or name.startswith("localhost") or is_address(name):
        return []
    short = name.partition(".")[0]
    return list(dict.fromkeys([name, short, f"{short}.local"]))


def url_of(host: str, port: int) -> str:
    """Return the URL of a server's first page."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_address(host: str) -> bool:
    """Return whether a host is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_known_host(named: str, names: Collection[str]) -> bool:
    """Return whether a request's header `Host` names this server: by an address or a known name.

    Otherwise a page of another site could reach the server by DNS rebinding: by a name of its own
    that resolves to this machine.

    Args:
        named: The header's value, with or without a port.
        names: The server's host names, in lower case.
    """
    try:
        host = urlsplit(f"//{named}").hostname or ""
    except ValueError:
        return False
    return host in names or is_address(host)


def is_same_origin(origin: str | None, fetch_site: str, host: str) -> bool:
    """Return whether a request comes from a page of this server, or from no page at all.

    Args:
        origin: The header `Origin`; None if there is none.
        fetch_site: The header `Sec-Fetch-Site`; `none` if there is none.
        host: The header `Host`.
    """
    is_own = origin is None or origin == f"http://{host}"
    return is_own and fetch_site in ("same-origin", "none")
