"""What clients and brokers say when clients log in: conversations on a listener with SASL, each over a connection of its own to each broker.

A conversation is a generator of steps: it yields a request, is sent both answers, and ends when either broker closed. Tokens differ between
brokers in nonces, salts and signatures alone: those are taken out (and signatures checked) before answers are compared.
"""

import base64
import hashlib
import hmac
import struct

from wire import Closed, Peer, Wrong

HANDSHAKE, AUTHENTICATE, API_VERSIONS, METADATA, FIND_COORDINATOR = 17, 36, 18, 3, 10
USER, PASSWORD = "ann", "ann's secret"
SCRAM_USER, SCRAM_PASSWORD, ITERATIONS = "sam", "sam's secret", 4096
HASHES = {"SCRAM-SHA-256": ("sha256", 1), "SCRAM-SHA-512": ("sha512", 2)}
NONCE = "fyko+d2lbbFgONRv9qkxdawL"
ANSWER_LIMIT = 10


class Bare(bytes):
    """A token that is sent as a frame of its own, as after a handshake of version 0."""


class Apart:
    """A step that is not the same for both brokers: what each is sent, and the signature that each shall answer with."""

    def __init__(self, steps, signatures):
        self.steps, self.signatures = steps, signatures


def steps(*them):
    for step in them:
        yield step


def handshake(version, mechanism):
    return HANDSHAKE, version, {"Mechanism": mechanism}


def token(version, content):
    return Bare(content) if version is None else (AUTHENTICATE, version, {"AuthBytes": content})


def plain(user=USER, password=PASSWORD, acts_as=""):
    return f"{acts_as}\0{user}\0{password}".encode()


def metadata():
    return METADATA, 9, {"Topics": []}


def credentials():
    """What AlterUserScramCredentials is asked for so that the user of SCRAM is there."""
    for name, number in HASHES.values():
        salted = hashlib.pbkdf2_hmac(name, SCRAM_PASSWORD.encode(), b"salt of sam", ITERATIONS)
        wish = {"Name": SCRAM_USER, "Mechanism": number, "Iterations": ITERATIONS, "Salt": b"salt of sam", "SaltedPassword": salted}
        yield {"Deletions": [], "Upsertions": [wish]}


def scram(mechanism, version, name=SCRAM_USER, password=SCRAM_PASSWORD, first=None, change=lambda final: final):
    """The two tokens of a client. `first` is another first message, `change` makes another of the last."""
    bare = f"n={name},r={NONCE}"
    answers = yield token(version, first if first is not None else f"n,,{bare}".encode())
    told = [said(answer) for answer in answers]
    if any(not text.startswith("r=") for text in told):
        return
    finals = [final(mechanism, password, bare, text) for text in told]
    yield Apart([token(version, change(content).encode()) for content, _ in finals], [signature for _, signature in finals])


def final(mechanism, password, bare, told):
    """A client's last message, and the signature that the server answers with."""
    name = HASHES[mechanism][0]
    fields = dict(field.split("=", 1) for field in told.split(","))
    salted = hashlib.pbkdf2_hmac(name, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))

    def sign(key, text):
        return hmac.new(key, text.encode(), name).digest()

    without_proof = f"c=biws,r={fields['r']}"
    message = f"{bare},{told},{without_proof}"
    key = sign(salted, "Client Key")
    proof = bytes(a ^ b for a, b in zip(key, sign(hashlib.new(name, key).digest(), message)))
    signature = base64.b64encode(sign(sign(salted, "Server Key"), message)).decode()
    return f"{without_proof},p={base64.b64encode(proof).decode()}", signature


def said(answer):
    content = answer.get("AuthBytes") if isinstance(answer, dict) else answer if isinstance(answer, bytes) else None
    return (bytes.fromhex(content) if isinstance(content, str) else content or b"").decode()


def logged_in(version, *then):
    yield handshake(0 if version is None else 1, "PLAIN")
    yield token(version, plain())
    for step in then:
        yield step


def with_plain(version, content):
    yield handshake(0 if version is None else 1, "PLAIN")
    yield token(version, content)
    yield metadata()


def with_scram(mechanism, version, **how):
    yield handshake(0 if version is None else 1, mechanism)
    yield from scram(mechanism, version, **how)
    yield metadata()


def conversations():
    """All of them, by names."""
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "GSSAPI", "plain", ""):
        for version in (0, 1):
            yield f"a handshake {version} for {mechanism!r}", steps(handshake(version, mechanism))
    for version in (0, 1, 2, None):
        yield f"PLAIN {version}", with_plain(version, plain())
        yield f"PLAIN {version}, a wrong password", with_plain(version, plain(password="guess"))
    for what, content in (
        ("nobody's name", plain(user="nobody")),
        ("no name", plain(user="")),
        ("no password", plain(password="")),
        ("as oneself", plain(acts_as=USER)),
        ("as another", plain(acts_as="root")),
        ("no zeroes", b"ann"),
        ("a zero too many", plain() + b"\0x"),
        ("nothing", b""),
        ("no text", b"\xff\xfe\0\xff\0\xff"),
    ):
        yield f"PLAIN, {what}", with_plain(2, content)
    for mechanism in HASHES:
        for version in (0, 2, None):
            yield f"{mechanism} {version}", with_scram(mechanism, version)
        yield f"{mechanism}, a wrong password", with_scram(mechanism, 2, password="guess")
        yield f"{mechanism}, nobody's name", with_scram(mechanism, 2, name="nobody")
        yield f"{mechanism}, an upper case name", with_scram(mechanism, 2, name="SAM")
        for first in (b"", b"x", b"n,,n=sam", b"n,,r=abc", b"y,,n=sam,r=abc", b"p=tls-unique,,n=sam,r=abc", b"n,a=root,n=sam,r=abc",
                      b"n,,m=x,n=sam,r=abc", b"n,,n=s=am,r=abc", b"n,,n=sam,r=", b"n,,n=sam,r=a,tokenauth=true", b"\xff\xff"):  # fmt: skip
            yield f"{mechanism}, the first message {first}", with_scram(mechanism, 2, first=first)
        for what, change in (
            ("another nonce", lambda final: final.replace(",r=", ",r=x")),
            ("another binding", lambda final: final.replace("c=biws", "c=eSws")),
            ("no proof", lambda final: final.partition(",p=")[0]),
            ("a short proof", lambda final: final.partition(",p=")[0] + ",p=AAAA"),
            ("a proof that is no base64", lambda final: final.partition(",p=")[0] + ",p=!!!!"),
            ("nothing", lambda final: ""),
            ("an extension", lambda final: final.replace(",p=", ",x=y,p=")),
        ):
            yield f"{mechanism}, the last message with {what}", with_scram(mechanism, 2, change=change)
    yield from orders()


def orders():
    """Messages that come when they should not."""
    versions = (API_VERSIONS, 4, {"ClientSoftwareName": "a", "ClientSoftwareVersion": "1"})
    choose, enter = handshake(1, "PLAIN"), token(2, plain())
    coordinator = (FIND_COORDINATOR, 4, {"KeyType": 0, "CoordinatorKeys": ["g"]})
    for what, them in (
        ("a request before all", [metadata()]),
        ("what is served, before all", [versions, choose, enter, metadata()]),
        ("what is served, twice", [versions, versions, choose, enter, metadata()]),
        ("what is served, after the handshake", [choose, versions, enter]),
        ("a token before all", [enter]),
        ("a bare token before all", [Bare(plain())]),
        ("two handshakes", [choose, choose, enter]),
        ("a request after the handshake", [choose, metadata(), enter]),
        ("a bare token after a handshake of version 1", [choose, Bare(plain())]),
        ("a token with a header after a handshake of version 0", [handshake(0, "PLAIN"), enter]),
        ("a handshake after one that was refused", [handshake(1, "GSSAPI"), choose]),
        ("a token again", [choose, token(2, plain(password="guess")), enter]),
        ("SCRAM's token for PLAIN", [choose, token(2, b"n,,n=sam,r=abc")]),
        ("PLAIN's token for SCRAM", [handshake(1, "SCRAM-SHA-256"), enter]),
    ):
        yield what, steps(*them)
    for what, them in (
        ("requests after it is in", [metadata(), coordinator, versions]),
        ("a token after it is in", [enter, metadata()]),
        ("in again", [choose, enter, metadata()]),
        ("in again at once", [choose, enter, choose, metadata()]),
        ("in again by version 0", [handshake(0, "PLAIN"), metadata()]),
        ("in again with a wrong password", [choose, token(2, plain(password="guess")), metadata()]),
        ("in again as another", [choose, token(2, plain(user="bob", password="bob's secret")), metadata()]),
        ("in again by another mechanism", [handshake(1, "SCRAM-SHA-256"), token(2, b"n,,n=sam,r=abc")]),
        ("in again by one that there is not", [handshake(1, "GSSAPI"), metadata()]),
        ("a request while it comes in again", [choose, metadata(), enter]),
    ):
        yield what, logged_in(2, *them)


def send(peer, step):
    """Sends a step, and returns how its answer is read."""
    if not isinstance(step, Bare):
        peer.send(*step, ANSWER_LIMIT)
        return lambda: peer.receive(step[0], step[1])
    peer.connect(ANSWER_LIMIT)
    peer.socket.sendall(struct.pack(">i", len(step)) + step)
    return lambda: peer.exactly(struct.unpack(">i", peer.exactly(4))[0])


def exchange(peers, asked):
    """What each broker answers to its step."""
    reads = []
    for peer, step in zip(peers, asked):
        try:
            reads.append(send(peer, step))
        except (Closed, OSError):
            reads.append(None)
    answers = []
    for peer, read in zip(peers, reads):
        try:
            answers.append(read() if read else "closed")
        except (Closed, ConnectionError):
            answers.append("closed")
        except TimeoutError:
            answers.append("silent")
        except (Wrong, UnicodeDecodeError) as error:
            answers.append(f"broken: {error}")
    return answers


def without_chance(answer, signature):
    """An answer whose token says only what does not come by chance."""
    text = said(answer)
    if text.startswith("r="):
        fields = dict(field.split("=", 1) for field in text.split(","))
        text = f"r={fields.pop('r')[: len(NONCE)]} s={bool(fields.pop('s'))} {sorted(fields.items())}"
    elif text.startswith("v="):
        text = "v=" + ("the right signature" if text[2:] == signature else "a wrong signature")
    return {**answer, "AuthBytes": text} if isinstance(answer, dict) else text if isinstance(answer, bytes) else answer


def talk(addresses, schemas, conversation):
    """Yields for each step: the step, and both answers. Ends behind the first that has none."""
    peers = [Peer(address, schemas) for address in addresses]
    answers = None
    try:
        while True:
            try:
                step = conversation.send(answers)
            except StopIteration:
                return
            apart = step if isinstance(step, Apart) else Apart([step, step], [None, None])
            answers = exchange(peers, apart.steps)
            step = apart.steps[0]
            yield step, [without_chance(*pair) if is_token(step) else pair[0] for pair in zip(answers, apart.signatures)]
            if any(isinstance(answer, str) for answer in answers):
                return
    finally:
        for peer in peers:
            peer.close()


def lets_in(door, conversation):
    """Whether the broker at a door answers the last step."""
    address, schemas = door
    last = ["closed"]
    for _, answers in talk([address, address], schemas, conversation):
        last = answers
    return all(isinstance(answer, dict) for answer in last)


def is_token(step):
    return isinstance(step, Bare) or step[0] == AUTHENTICATE
