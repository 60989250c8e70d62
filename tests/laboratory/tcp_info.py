"""What the kernel says of one TCP connection: getsockopt(TCP_INFO), struct tcp_info of linux/tcp.h."""

import socket
import struct
from dataclasses import dataclass

_TOTAL_RETRANS = struct.Struct("@I"), 100
_BYTES_RECEIVED = struct.Struct("@Q"), 128
_NOTSENT_BYTES = struct.Struct("@I"), 144
_BYTES_SENT = struct.Struct("@QQ"), 200
_SIZE = 232


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """Numbers of one connection.

    :param accepted_bytes: Bytes that the kernel took from the process: sent, but for those sent again, and not
        yet sent.
    :param received_bytes: Bytes that arrived in order; of a peer that closed, one more.
    :param retransmits: Segments that were sent again; of a connection that was accepted, its SYN-ACKs too.
    """

    accepted_bytes: int
    received_bytes: int
    retransmits: int


def tcp_info(connection: socket.socket) -> TcpInfo:
    """Ask the kernel."""
    data = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)

    def number(field: tuple[struct.Struct, int]) -> tuple[int, ...]:
        layout, offset = field
        return layout.unpack_from(data, offset)

    sent, again = number(_BYTES_SENT)
    (not_sent,) = number(_NOTSENT_BYTES)
    (received,) = number(_BYTES_RECEIVED)
    (retransmits,) = number(_TOTAL_RETRANS)
    return TcpInfo(sent - again + not_sent, received, retransmits)
