"""A batch of records as every broker stores it, made by hand: the same bytes for both."""

import struct

from wire import uvarint

POLYNOMIAL = 0x82F63B78
TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (POLYNOMIAL if byte & 1 else 0)
    TABLE.append(byte)


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def varint(number):
    return uvarint((number << 1) ^ (number >> 63))


def batch(values, timestamp, attributes=0, producer=(-1, -1, -1), step=10, magic=2, wrong_crc=False):
    """Records of these values without keys, `step` milliseconds apart. `producer` is its id, epoch and first sequence."""
    records = b""
    for place, value in enumerate(values):
        record = b"\0" + varint(place * step) + varint(place) + varint(-1) + varint(len(value)) + value + varint(0)
        records += varint(len(record)) + record
    last = len(values) - 1
    rest = struct.pack(">hiqqqhii", attributes, last, timestamp, timestamp + max(last, 0) * step, *producer, len(values)) + records
    crc = crc32c(rest) ^ (1 if wrong_crc else 0)
    return struct.pack(">qiibI", 0, len(rest) + 9, 0, magic, crc) + rest
