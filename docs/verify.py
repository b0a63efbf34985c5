#!/usr/bin/env python3
"""Checks a report of Angbu with nothing but Python's standard library, and prints a summary of its own.

    python3 verify.py REPORT.html LOG_KEY

LOG_KEY is the log's verifier key, `name+id+key`. Get it from whoever made the report by another way than the
report itself: a report that brings its own key proves nothing.

Exit status: 0 proven, 1 refused (the first wrong thing is named) or no key given, 2 wrong usage.

What is checked is the evidence inside the file, and the summary is made from that alone. The readable page around
it is NOT checked: `angbu verify` also renders that page again and compares every byte. evidence.md has the formats.
"""

import base64
import bisect
import collections
import datetime
import hashlib
import re
import sys

SITE = "cus_" + 32 * "0"


class Refused(Exception):
    """The report does not prove what it says."""


def need(holds, why):
    if not holds:
        raise Refused(why)


# ---- Numbers and bytes, each with one spelling ----------------------------------------------------------------------

def number(text, sign=""):
    need(re.fullmatch(f"0|{sign}[1-9][0-9]{{0,19}}", text), f"'{text[:24]}' is no number in its one spelling")
    return int(text)


def decoded(text, length=None):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    need(base64.b64encode(data).decode() == text, f"'{text[:48]}' is not base64 in its one spelling")
    need(length in (None, len(data)), f"'{text[:48]}' has not {length} bytes")
    return data


# ---- Ed25519 signatures (RFC 8032, section 5.1) ---------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    """Adds two points (X, Y, Z, T), which stand for x = X/Z, y = Y/Z, x y = T/Z (section 5.1.4)."""
    s, t = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    u, v = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = t - s, v - u, v + u, t + s
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    product = (0, 1, 1, 0)
    for bit in bin(n)[2:]:
        product = add(product, product)
        product = add(product, point) if bit == "1" else product
    return product


def equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point(data):
    """Decodes a point (section 5.1.3); none if the bytes are none."""
    y, odd = int.from_bytes(data, "little") % 2**255, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (x == 0 and odd):
        return None
    x = x if x % 2 == odd else P - x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def signed_by(key, message, signature):
    if len(signature) != 64:
        return False
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    # Under a point of small order, signatures of anything can be made up.
    if not a or not r or s >= ORDER or any(equal(times(8, small), (0, 1, 1, 0)) for small in (a, r)):
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    return equal(times(s, BASE), add(r, times(h, a)))


# ---- The tree (RFC 9162, section 2.1) -------------------------------------------------------------------------------

def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(size):
    """The largest power of two below a size above 1."""
    return 1 << (size - 1).bit_length() - 1


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    return node(root(leaves[:split(len(leaves))]), root(leaves[split(len(leaves)):]))


def lift(data, beside):
    for sibling, on_the_left in reversed(beside):
        data = node(sibling, data) if on_the_left else node(data, sibling)
    return data


def prove(leaves, low, high, proof, expected):
    """Checks [(index, hash)] in the subtree low..high; `proof` gives hashes in the order of the walk down."""
    beside = []
    while high - low > 1:
        middle = low + split(high - low)
        at = bisect.bisect_left(leaves, (middle,))
        if 0 < at < len(leaves):
            a, b = next(proof), next(proof)
            names = f"{leaves[0][0]} to {leaves[-1][0]}"
            need(lift(node(a, b), beside) == expected, f"the hashes over the entries {names} do not lead to the root")
            prove(leaves[:at], low, middle, proof, a)
            return prove(leaves[at:], middle, high, proof, b)
        beside.append((next(proof), at == 0))
        low, high = (middle, high) if at == 0 else (low, middle)
    need(lift(leaves[0][1], beside) == expected, f"entry {low} is not what the log holds at that place")


def prove_all(leaves, size, proof, expected):
    proof = iter(proof)
    try:
        prove(leaves, 0, size, proof, expected)
    except StopIteration:
        raise Refused("hashes of the proof are missing") from None
    need(next(proof, None) is None, "the proof has hashes too many")


# ---- The log's signed head (C2SP signed-note and tlog-checkpoint) ---------------------------------------------------

def checkpoint(note, log_key):
    """Checks the log's signature and returns (origin, size, root)."""
    name, key_id, key = log_key
    text, blank, signatures = note.rpartition("\n\n")
    need(blank and signatures.endswith("\n"), "the checkpoint is not a signed note")
    for line in signatures[:-1].split("\n"):
        dash, signer, signature = (line.split(" ") + 3 * [""])[:3]
        need(dash == "\u2014" and line.count(" ") == 2, "a signature line is not '\u2014 name base64'")
        need(signer == name and decoded(signature)[:4] == key_id, f"signed by '{signer}', whose key was not given")
        signed = signed_by(key, f"{text}\n".encode(), decoded(signature)[4:])
        need(signed, f"the signature of '{name}' is wrong: it or the checkpoint was changed")
    origin, size, top = (text.split("\n") + 3 * [""])[:3]
    need(text.count("\n") == 2 and origin == name, "the checkpoint is not one of this log")
    need(signatures.count("\n") == 1, "the checkpoint is signed twice")
    return origin, number(size), decoded(top, 32)


def verifier_key(text):
    """Reads `name+id+base64`; none if it is misspelt."""
    name, _, rest = text.partition("+")
    key_id, _, key = rest.partition("+")
    try:
        key = decoded(key, 33)
    except Refused:
        return None
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    return (name, expected, key[1:]) if key[0] == 1 and key_id == expected.hex() else None


# ---- The evidence inside the file -----------------------------------------------------------------------------------

class Lines:
    """The evidence, line by line."""

    def __init__(self, text):
        need(text.endswith("\n"), "the evidence does not end with a whole line")
        self.lines, self.at = text[:-1].split("\n"), 0

    def next(self):
        need(self.at < len(self.lines), "the evidence ends too early")
        self.at += 1
        return self.lines[self.at - 1]

    def words(self, first, count):
        words = self.next().split(" ")
        right = words[0] == first and len(words) == count + 1
        need(right, f"line {self.at} of the evidence is not '{first}' and {count} words")
        return words[1:]

    def while_word(self, first, count):
        while self.at < len(self.lines) and self.lines[self.at].startswith(first + " "):
            yield self.words(first, count)


class Entry:
    """One entry of the log with the fields that are shown of it."""

    def __init__(self, index, lines):
        self.index, start = index, lines.at
        self.kind, = lines.words("angbu/1", 1)
        lines.words("id", 1)
        time, _, self.verdict, state = lines.words("instant", 4)
        self.time, self.clock_state = number(time, "-?"), None if state == "-" else number(state)
        self.customer, count = lines.words("customer", 2)
        self.number, body = number(count), decoded(*lines.words("body", 1), 32)
        self.leaf = leaf("".join(line + "\n" for line in lines.lines[start:lines.at]).encode())
        self.fields, leaves = {}, []
        while lines.lines[lines.at:] and lines.lines[lines.at].startswith(("shown ", "hidden ")):
            if lines.lines[lines.at].startswith("hidden "):
                leaves.append(decoded(*lines.words("hidden", 1), 32))
                continue
            name, salt, value = lines.words("shown", 3)
            salt, value = decoded(salt, 32), decoded(value)
            need(name not in self.fields, f"entry {index} shows '{name}' twice")
            self.fields[name] = value
            name_length, value_length = len(name.encode()).to_bytes(2, "big"), len(value).to_bytes(4, "big")
            leaves.append(leaf(salt + name_length + name.encode() + value_length + value))
        need(leaves and root(leaves) == body, f"a field of entry {index} ({self.kind}) was changed")

    def text(self, name):
        need(name in self.fields, f"entry {self.index} ({self.kind}) does not show its field '{name}'")
        return self.fields[name].decode()


class Report:
    """A report's evidence, proven."""

    def __init__(self, file, log_key):
        need(file.count(b'<template id="angbu-evidence">\n') == 1, "the file holds no evidence, or holds it twice")
        text, end, _ = file.partition(b'<template id="angbu-evidence">\n')[2].partition(b"</template>")
        need(end, "the evidence has no end")
        lines = Lines(text.decode())
        word, self.kind, _ = lines.words("angbu/1", 3)
        need(word == "report", "the evidence is not that of a report")
        self.customer, = lines.words("customer", 1)
        self.start, self.end = (number(word, "-?") for word in lines.words("period", 2))
        self.count, *ends = map(number, lines.words("counter", 3))
        manifest, *place = map(number, lines.words("manifest", 3))
        path = [decoded(*words, 32) for words in lines.while_word("map", 1)]
        note = "".join(lines.next() + "\n" for _ in range(number(*lines.words("checkpoint", 1))))
        self.origin, self.size, top = checkpoint(note, log_key)
        self.entries = {}
        for index, in lines.while_word("item", 1):
            index = number(index)
            need(max(self.entries, default=-1) < index < self.size, f"entry {index} is out of order or outside the log")
            self.entries[index] = Entry(index, lines)
            owner = self.entries[index].customer
            need(owner in (self.customer, SITE), f"entry {index} belongs to {owner}, not to {self.customer}")
        nodes = [decoded(*words, 32) for words in lines.while_word("node", 1)]
        need(lines.next() == "end" and lines.at == len(lines.lines), f"line {lines.at} is not the evidence's end")
        need(self.start < self.end and self.customer != SITE, "the report is about no period, or about no customer")
        self.check_manifest(manifest, place, path, ends)
        self.check_completeness(ends)
        self.check_clock_states()
        prove_all([(index, entry.leaf) for index, entry in self.entries.items()], self.size, nodes, top)

    def check_manifest(self, index, place, path, ends):
        """How many entries the customer has is itself an entry."""
        self.manifest = self.entries.get(index)
        need(self.manifest, f"entry {index}, the manifest, is missing")
        right = self.manifest.kind == "evidence.manifest" and self.manifest.customer == SITE
        need(right and number(self.manifest.text("size")) <= index, f"entry {index} is not a manifest")
        need(self.manifest.time >= self.end, "the manifest is older than the period's end")
        place, customers = place
        counted = bytes.fromhex(self.customer[4:]) + b"".join(n.to_bytes(8, "big") for n in (self.count, *ends))
        need(place < customers == number(self.manifest.text("customers")), "the manifest counts other customers")
        top = decoded(self.manifest.text("root"), 32)
        try:
            prove_all([(place, leaf(counted))], customers, reversed(path), top)
        except Refused:
            raise Refused(f"the manifest does not count {self.customer}'s entries as the report says") from None

    def check_completeness(self, ends):
        """From an entry before the period (or the very first) up to the last that is counted, none is left out."""
        own = [entry for entry in self.entries.values() if entry.customer == self.customer]
        numbers = {entry.number: entry for entry in own}
        need(list(numbers) == sorted(numbers) and len(numbers) == len(own), "running numbers are out of order")
        need(max(numbers, default=0) <= self.count, "an entry is not counted by the manifest")
        wanted, reaches_back = self.count, False
        while wanted in numbers:
            reaches_back = numbers[wanted].time < self.start or wanted == 1
            wanted -= 1
        need(reaches_back, f"entry number {wanted} of {self.customer} is missing")
        for count, index in zip((1, self.count), ends):
            right = count not in numbers or numbers[count].index == index
            need(right, f"number {count} is not where the manifest says")
        self.complete_from = wanted + 1

    def check_clock_states(self):
        """What an entry's time rests on is itself an entry."""
        for index, entry in self.entries.items():
            if entry.clock_state is None:
                need(entry.verdict == "unproven", f"entry {index} says '{entry.verdict}' and rests on nothing")
                continue
            state = self.entries.get(entry.clock_state)
            need(state, f"entry {entry.clock_state}, on whose clock entry {index} rests, is missing")
            right = state.kind == "clock.state" and state.customer == SITE and state.index <= index
            need(right and (entry.kind != "clock.state" or state is entry), f"entry {index} rests on no clock state")


# ---- The summary ----------------------------------------------------------------------------------------------------

def exchanges(packed):
    """The instants (T1, T2, T3, T4) of a segment's exchanges; see "Time segments" in evidence.md."""
    data = iter(packed)

    def unsigned():
        value, shift, byte = 0, 0, 128
        while byte >= 128:
            byte = next(data)
            value, shift = value | (byte & 127) << shift, shift + 7
        return value

    def signed():
        value = unsigned()
        return value >> 1 ^ -(value & 1)

    def wrapped(value):
        return (value + 2**63) % 2**64 - 2**63

    need(next(data) == 1, "a segment is packed in a way that this script does not know")
    before, to_t1, to_t2, to_t4 = 0, 0, 0, 0
    for _ in range(unsigned()):
        head = next(data)
        for _ in range(35 if head & 8 else 0):  # The server and what it says of itself.
            next(data)
        if head & 16:  # A gap in the numbers.
            unsigned()
        t1 = wrapped(signed() + to_t1 + before)
        t2 = wrapped(signed() + to_t2 + t1)
        t3 = wrapped(signed() + t2)
        t4 = wrapped(signed() + to_t4 + t3)
        signed()  # The root dispersion.
        if head & 32:  # A rate that does not follow from the instants.
            signed()
        yield t1, t2, t3, t4
        before, to_t1, to_t2, to_t4 = t1, wrapped(t1 - before), wrapped(t2 - t1), wrapped(t4 - t3)


def instant(nanos):
    day = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=nanos // 10**9)
    return f"{day:%Y-%m-%dT%H:%M:%S}.{nanos % 10**9:09}Z"


def summary(report):
    yield f"proven by {report.origin}, whose log then had {report.size} entries"
    yield f"customer {report.customer}, from {instant(report.start)} to {instant(report.end)}"
    yield f"entries {report.complete_from} to {report.count} of this customer, none left out; data up to " \
          f"{instant(report.manifest.time)} by the centre's clock, {report.manifest.verdict} then"
    kinds = collections.Counter(entry.kind for entry in report.entries.values())
    yield "in all: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    if report.kind == "time":
        yield from time_summary(report)
    yield "the readable page was NOT checked against this; `angbu verify` does that too"


def time_summary(report):
    names, offsets, alarms = {}, collections.defaultdict(list), collections.Counter()
    for entry in report.entries.values():
        agent = entry.fields.get("agent", b"").decode()
        if entry.kind == "time.enrolment":
            names[agent] = entry.fields.get("name", b"").decode()
        elif entry.kind == "time.segment" and "exchanges" in entry.fields:
            offsets[agent] += [((t2 - t1) + (t3 - t4)) / 2e6 for t1, t2, t3, t4 in exchanges(entry.fields["exchanges"])
                               if report.start <= t3 < report.end]
        elif entry.kind == "time.alarm":
            at = entry.text("at") if entry.text("centre-at") == "-" else entry.text("centre-at")
            alarms[agent] += report.start <= number(at, "-?") < report.end
    for agent in sorted({*names, *offsets, *alarms}):
        found = offsets[agent]
        span = f", offset {min(found):.3f} to {max(found):.3f} ms" if found else ""
        name = ascii(names.get(agent, ""))[1:-1]
        yield f"{agent} {name}: {len(found)} exchanges in the period{span}, {alarms[agent]} alarms"


def main(arguments):
    if len(arguments) not in (1, 2):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as file:
            data = file.read()
    except OSError as error:
        print(f"{arguments[0]}: {error.strerror}", file=sys.stderr)
        return 2
    log_key = verifier_key(arguments[1]) if len(arguments) == 2 else None
    if len(arguments) == 2 and not log_key:
        print(f"'{arguments[1]}' is not an Ed25519 verifier key, or is misspelt", file=sys.stderr)
        return 2
    try:
        need(log_key, "signer not given: give the log's key, which you got by another way than this file")
        print("\n".join(summary(Report(data, log_key))))
    except Refused as why:
        print(f"refused: {why}", file=sys.stderr)
        return 1
    except (ValueError, IndexError, OverflowError, RecursionError, RuntimeError) as error:
        print(f"refused: the evidence cannot be read ({error!r})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
