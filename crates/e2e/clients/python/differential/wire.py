"""Kafka's protocol, told by the schemas within the kafka-clients jar: any request of any version to bytes, and any answer back to values.

It knows nothing of what the fields mean, and shares no code with the node that it speaks to.
"""

import glob
import json
import re
import socket
import struct
import uuid
import zipfile

FIXED = {"bool": "?", "int8": "b", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "float64": "d"}
TEXTS = ("string", "bytes", "records")
NO_VERSIONS = (1, 0)
API_VERSIONS = 18


class Closed(Exception):
    """The peer closed the connection instead of answering."""


class Wrong(Exception):
    """An answer does not decode by its schema."""


def versions(text):
    if text is None or text == "none":
        return NO_VERSIONS
    if text.endswith("+"):
        return int(text[:-1]), 32767
    low, _, high = text.partition("-")
    return int(low), int(high or low)


def within(version, pair):
    return pair[0] <= version <= pair[1]


class Field:
    """A field of a message, its struct's fields resolved."""

    def __init__(self, told, structs, flexible):
        self.name, self.kind = told["name"], told["type"]
        self.is_array = self.kind.startswith("[]")
        self.element = self.kind.removeprefix("[]")
        self.versions = versions(told["versions"])
        self.nullable = versions(told.get("nullableVersions"))
        self.tag, self.tagged = told.get("tag"), versions(told.get("taggedVersions"))
        self.default = told.get("default")
        self.entity = told.get("entityType")
        self.fields = None
        if self.element[0].isupper():
            inner = told.get("fields") or structs[self.element]
            self.fields = [Field(field, structs, flexible) for field in inner]

    def default_value(self, version):
        if self.default == "null" and within(version, self.nullable):
            return None
        if self.is_array:
            return []
        if self.fields is not None:
            return {}
        if self.element == "string":
            return self.default or ""
        if self.element in TEXTS:
            return b""
        if self.element == "uuid":
            return str(uuid.UUID(int=0))
        if self.element == "bool":
            return self.default in (True, "true")
        if self.element == "float64":
            return float(self.default or 0)
        return int(str(self.default or "0"), 0)


class Message:
    """A message: its fields and versions."""

    def __init__(self, schema):
        self.name, self.key = schema["name"], schema.get("apiKey")
        self.versions = versions(schema["validVersions"])
        self.flexible = versions(schema.get("flexibleVersions"))
        self.unstable = schema.get("latestVersionUnstable", False)
        self.listeners = schema.get("listeners", [])
        structs = {told["name"]: told["fields"] for told in schema.get("commonStructs", [])}
        self.fields = [Field(told, structs, self.flexible) for told in schema["fields"]]


def without_comments(text):
    return re.sub(r'("(?:\\.|[^"\\])*")|//[^\n]*', lambda found: found.group(1) or "", text)


def load(folder):
    """The requests and answers of the kafka-clients jar in `folder`, by API key."""
    (jar,) = glob.glob(f"{folder}/kafka-clients-*.jar")
    requests, answers = {}, {}
    with zipfile.ZipFile(jar) as files:
        for name in files.namelist():
            if re.fullmatch(r"common/message/\w+(Request|Response)\.json", name):
                schema = json.loads(without_comments(files.read(name).decode()))
                if schema["validVersions"] != "none":
                    (requests if schema["type"] == "request" else answers)[schema["apiKey"]] = Message(schema)
    return requests, answers


def uvarint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def length(number, flexible, wide):
    if flexible:
        return uvarint(number + 1)
    return struct.pack(">i" if wide else ">h", number)


def put_value(field, version, flexible, value, is_element=False):
    if field.is_array and not is_element:
        if value is None:
            return length(-1, flexible, True)
        items = [put_value(field, version, flexible, item, True) for item in value]
        return length(len(items), flexible, True) + b"".join(items)
    if field.fields is not None:
        marker = b""
        if field.nullable != NO_VERSIONS and within(version, field.nullable) and not is_element:
            marker = struct.pack(">b", -1 if value is None else 1)
            if value is None:
                return marker
        return marker + put_fields(field.fields, version, flexible, value)
    if field.element in TEXTS:
        wide = field.element != "string"
        if value is None:
            return length(-1, flexible, wide)
        content = value.encode() if isinstance(value, str) else bytes(value)
        return length(len(content), flexible, wide) + content
    if field.element == "uuid":
        return uuid.UUID(value).bytes
    return struct.pack(">" + FIXED[field.element], value)


def put_fields(fields, version, flexible, values):
    out, tagged = [], []
    for field in fields:
        if not within(version, field.versions):
            continue
        is_tagged = within(version, field.tagged)
        if is_tagged and field.name not in values:
            continue
        value = values[field.name] if field.name in values else field.default_value(version)
        content = put_value(field, version, flexible, value)
        if is_tagged:
            tagged.append((field.tag, content))
        else:
            out.append(content)
    if flexible:
        out.append(uvarint(len(tagged)))
        out += [uvarint(tag) + uvarint(len(content)) + content for tag, content in sorted(tagged)]
    return b"".join(out)


class Reader:
    """Bytes, from the front."""

    def __init__(self, content):
        self.content, self.at = content, 0

    def take(self, count):
        if count < 0 or self.at + count > len(self.content):
            raise Wrong(f"{count} bytes at {self.at} of {len(self.content)}")
        self.at += count
        return self.content[self.at - count : self.at]

    def fixed(self, code):
        return struct.unpack(">" + code, self.take(struct.calcsize(code)))[0]

    def uvarint(self):
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def length(self, flexible, wide):
        return self.uvarint() - 1 if flexible else self.fixed("i" if wide else "h")


def get_value(field, version, flexible, reader, is_element=False):
    if field.is_array and not is_element:
        count = reader.length(flexible, True)
        return None if count < 0 else [get_value(field, version, flexible, reader, True) for _ in range(count)]
    if field.fields is not None:
        if field.nullable != NO_VERSIONS and within(version, field.nullable) and not is_element and reader.fixed("b") < 0:
            return None
        return get_fields(field.fields, version, flexible, reader)
    if field.element in TEXTS:
        count = reader.length(flexible, field.element != "string")
        if count < 0:
            return None
        content = reader.take(count)
        return content.decode() if field.element == "string" else content.hex()
    if field.element == "uuid":
        return str(uuid.UUID(bytes=reader.take(16)))
    return reader.fixed(FIXED[field.element])


def get_fields(fields, version, flexible, reader):
    values, tags = {}, {}
    for field in fields:
        if not within(version, field.versions):
            continue
        if within(version, field.tagged):
            tags[field.tag] = field
            values[field.name] = field.default_value(version)
        else:
            values[field.name] = get_value(field, version, flexible, reader)
    if flexible:
        for _ in range(reader.uvarint()):
            tag, content = reader.uvarint(), reader.take(reader.uvarint())
            if tag not in tags:
                raise Wrong(f"unknown tag {tag}")
            inner = Reader(content)
            values[tags[tag].name] = get_value(tags[tag], version, flexible, inner)
            if inner.at != len(content):
                raise Wrong(f"the tag {tag} has bytes left")
    return values


def put_request(message, version, body, correlation, client="differential"):
    """A request's frame, whole."""
    flexible = within(version, message.flexible)
    content = client.encode()
    header = struct.pack(">hhih", message.key, version, correlation, len(content)) + content + (b"\0" if flexible else b"")
    frame = header + put_fields(message.fields, version, flexible, body)
    return struct.pack(">i", len(frame)) + frame


def get_answer(message, version, content):
    """The values of an answer's frame."""
    flexible = within(version, message.flexible)
    reader = Reader(content)
    correlation = reader.fixed("i")
    if flexible and message.key != API_VERSIONS:
        if reader.uvarint():
            raise Wrong("the header has tags")
    values = get_fields(message.fields, version, flexible, reader)
    if reader.at != len(content):
        raise Wrong(f"{len(content) - reader.at} bytes are left")
    return correlation, values


class Peer:
    """A broker, over one connection that is made anew after the broker closed it."""

    def __init__(self, address, schemas, client="differential"):
        host, _, port = address.rpartition(":")
        self.address = (host, int(port))
        self.requests, self.answers = schemas
        self.client = client
        self.socket, self.correlation = None, 0

    def ask(self, key, version, body, limit=30):
        """The values that are answered; raises Closed, or TimeoutError after `limit` seconds."""
        self.send(key, version, body, limit)
        return self.receive(key, version)

    def connect(self, limit=30):
        if self.socket is None:
            self.socket = socket.create_connection(self.address)
        self.socket.settimeout(limit)

    def send(self, key, version, body, limit=30):
        self.connect(limit)
        self.correlation += 1
        self.socket.sendall(put_request(self.requests[key], version, body, self.correlation, self.client))

    def receive(self, key, version):
        try:
            (size,) = struct.unpack(">i", self.exactly(4))
            correlation, values = get_answer(self.answers[key], version, self.exactly(size))
        except (Closed, ConnectionError, TimeoutError, Wrong):
            self.close()
            raise
        if correlation != self.correlation:
            raise Wrong(f"the answer {correlation} came to the request {self.correlation}")
        return values

    def exactly(self, count):
        content = bytearray()
        while len(content) < count:
            try:
                read = self.socket.recv(count - len(content))
            except ConnectionError as error:
                raise Closed from error
            if not read:
                raise Closed
            content += read
        return bytes(content)

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None
