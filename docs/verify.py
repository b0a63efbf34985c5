#!/usr/bin/env python3
"""Checks a report of Angbu with nothing but Python's standard library, and prints a summary of its own.

    python3 verify.py REPORT.html LOG_KEY

LOG_KEY is the log's verifier key, `name+id+key`. Get it from whoever made the report by another way than the
report itself: a report that brings its own key proves nothing.

Exit status: 0 proven, 1 refused (the first wrong thing is named), 2 wrong usage.

What is checked is the evidence inside the file, and the summary is made from that alone. The readable page around
it is not: `angbu verify` also renders that page again and compares every byte. docs/evidence.md has the formats.
"""

import base64
import bisect
import datetime
import hashlib
import re
import sys


class Refused(Exception):
    """The report does not prove what it says."""


def need(holds, why):
    if not holds:
        raise Refused(why)


# ---- Numbers and bytes, each with one spelling ----------------------------------------------------------------------

def number(text):
    need(re.fullmatch("0|-?[1-9][0-9]{0,19}", text, re.ASCII), f"'{text[:24]}' is no number in its one spelling")
    return int(text)


def decoded(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = None
    same = data is not None and base64.b64encode(data).decode() == text
    need(same, f"'{text[:24]}' is not base64 in its one spelling")
    return data


def hashed(text):
    data = decoded(text)
    need(len(data) == 32, f"'{text[:50]}' is not a hash")
    return data


# ---- Ed25519 signatures (RFC 8032, section 5.1) ---------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    """Adds two points in extended coordinates (section 5.1.4)."""
    s, t = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    u, v = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = t - s, v - u, v + u, t + s
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    product = (0, 1, 1, 0)
    while n:
        if n & 1:
            product = add(product, point)
        point, n = add(point, point), n >> 1
    return product


def equal(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point(data):
    """Decodes a point (section 5.1.3); none if the bytes are none."""
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed_by(key, message, signature):
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= ORDER:
        return False
    if any(equal(times(8, small), (0, 1, 1, 0)) for small in (a, r)):
        return False  # Under a point of small order anything is signed.
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
    k = split(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))


def climb(data, index, size, path):
    """The root that a leaf's inclusion path leads to; none where the path has the wrong length."""
    if size == 1:
        return data if not path else None
    if not path:
        return None
    k = split(size)
    if index < k:
        below = climb(data, index, k, path[:-1])
        return below and node(below, path[-1])
    below = climb(data, index - k, size - k, path[:-1])
    return below and node(path[-1], below)


def prove(leaves, low, high, proof, expected):
    """Checks [(index, hash)] in the subtree low..high; `proof` gives hashes in the order of the walk down."""
    beside = []
    while high - low > 1:
        middle = low + split(high - low)
        at = bisect.bisect_left(leaves, (middle,))
        if at == len(leaves):
            beside.append((next(proof), False))
            high = middle
        elif at == 0:
            beside.append((next(proof), True))
            low = middle
        else:
            a, b = next(proof), next(proof)
            names = f"{leaves[0][0]} to {leaves[-1][0]}"
            need(lift(node(a, b), beside) == expected, f"the hashes over the entries {names} do not lead to the root")
            prove(leaves[:at], low, middle, proof, a)
            prove(leaves[at:], middle, high, proof, b)
            return
    need(lift(leaves[0][1], beside) == expected, f"entry {low} is not what the log holds at that place")


def lift(data, beside):
    for sibling, on_the_left in reversed(beside):
        data = node(sibling, data) if on_the_left else node(data, sibling)
    return data


# ---- The log's signed head (C2SP signed-note and tlog-checkpoint) ---------------------------------------------------

def checkpoint(note, log_key):
    """Checks the log's signature and returns (origin, size, root)."""
    name, key_id, key = log_key.split("+", 2)
    key = decoded(key)
    need(len(key) == 33 and key[0] == 1, "the key given is not an Ed25519 verifier key")
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    need(key_id == expected.hex(), "the key given is misspelt: its id and its bytes do not belong together")
    text, blank, signatures = note.rpartition("\n\n")
    need(blank and signatures.endswith("\n"), "the checkpoint is not a signed note")
    text += "\n"
    lines = [line.split(" ") for line in signatures[:-1].split("\n")]
    need(all(len(line) == 3 and line[0] == "\u2014" for line in lines), "a signature line is not '\u2014 name base64'")
    # The first signature is the log's; what follows are witnesses', which this script does not judge.
    signature = decoded(lines[0][2])
    claimed = lines[0][1]
    need(claimed == name and signature[:4] == expected, f"the checkpoint is signed by '{claimed}', not by '{name}'")
    need(signed_by(key[1:], text.encode(), signature[4:]), f"the signature of '{name}' is wrong")
    origin, size, top, *more = text[:-1].split("\n") + ["", ""]
    need(origin == name and more == ["", ""], "the checkpoint is not one of this log")
    return origin, number(size), hashed(top)


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
        self.id, = lines.words("id", 1)
        time, bound, self.verdict, state = lines.words("instant", 4)
        self.time, self.bound = number(time), number(bound)
        self.clock_state = None if state == "-" else number(state)
        self.customer, count = lines.words("customer", 2)
        self.number = number(count)
        body = hashed(*lines.words("body", 1))
        self.leaf = leaf("".join(line + "\n" for line in lines.lines[start:lines.at]).encode())
        self.fields, leaves = {}, []
        while lines.lines[lines.at].split(" ")[0] in ("shown", "hidden"):
            if lines.lines[lines.at].startswith("hidden "):
                leaves.append(hashed(*lines.words("hidden", 1)))
                continue
            name, salt, value = lines.words("shown", 3)
            salt, value = hashed(salt), decoded(value)
            need(name not in self.fields, f"entry {index} shows '{name}' twice")
            self.fields[name] = value
            lengths = len(name).to_bytes(2, "big"), len(value).to_bytes(4, "big")
            leaves.append(leaf(salt + lengths[0] + name.encode() + lengths[1] + value))
        need(leaves and root(leaves) == body, f"a field of entry {index} ({self.kind}) was changed")

    def text(self, name):
        return self.fields[name].decode()


SITE = "cus_" + 32 * "0"


class Report:
    """A report's evidence, proven."""

    def __init__(self, file, log_key):
        before, begin, rest = file.partition(b'<template id="angbu-evidence">\n')
        text, end, after = rest.partition(b"</template>")
        need(begin and end and begin not in after, "the file holds no evidence, or holds it twice")
        need(b"<" not in text and b"&" not in text, "the evidence holds a sign that it cannot hold")
        lines = Lines(text.decode())
        word, self.kind, self.rendering = lines.words("angbu/1", 3)
        need(word == "report", "the evidence is not that of a report")
        self.customer, = lines.words("customer", 1)
        self.start, self.end = map(number, lines.words("period", 2))
        self.count, first, last = map(number, lines.words("counter", 3))
        manifest, place, customers = map(number, lines.words("manifest", 3))
        path = [hashed(*words) for words in lines.while_word("map", 1)]
        note = "".join(lines.next() + "\n" for _ in range(number(*lines.words("checkpoint", 1))))
        self.origin, self.size, top = checkpoint(note, log_key)
        self.entries = {}
        for index, in lines.while_word("item", 1):
            index = number(index)
            need(index > max(self.entries, default=-1), f"entry {index} is out of order")
            self.entries[index] = Entry(index, lines)
        nodes = [hashed(*words) for words in lines.while_word("node", 1)]
        need(lines.next() == "end" and lines.at == len(lines.lines), "the evidence goes on where it should end")

        self.own = [entry for entry in self.entries.values() if entry.customer == self.customer]
        for entry in self.entries.values():
            need(entry.customer in (self.customer, SITE), f"entry {entry.index} is somebody else's")
        self.check_manifest(manifest, (place, customers, path), (first, last))
        self.check_completeness(first, last)
        self.check_clock_states()
        need(max(self.entries) < self.size, "an entry lies outside the log")
        proof = iter(nodes)
        try:
            prove([(index, entry.leaf) for index, entry in self.entries.items()], 0, self.size, proof, top)
        except StopIteration:
            raise Refused("hashes of the proof are missing") from None
        need(next(proof, None) is None, "the proof has hashes too many")

    def check_manifest(self, index, place, ends):
        """How many entries the customer has is itself an entry."""
        need(index in self.entries, f"entry {index}, the manifest, is missing")
        entry = self.entries[index]
        need(entry.kind == "evidence.manifest" and entry.customer == SITE, f"entry {index} is not a manifest")
        need(entry.time >= self.end, "the manifest is older than the period's end")
        counted = bytes.fromhex(self.customer[4:]) + b"".join(n.to_bytes(8, "big") for n in (self.count, *ends))
        place, customers, path = place
        counted_customers = number(entry.text("customers"))
        need(0 <= place < customers == counted_customers, "the manifest counts other customers")
        top = hashed(entry.text("root"))
        need(climb(leaf(counted), place, customers, path) == top, "the manifest counts otherwise")

    def check_completeness(self, first, last):
        """From the first entry that counts up to the last that the manifest counts, none is left out."""
        numbers = {entry.number: entry for entry in self.own}
        need(len(numbers) == len(self.own), "a running number stands twice")
        for count, index in ((1, first), (self.count, last)):
            right = count not in numbers or numbers[count].index == index
            need(right, f"number {count} is not where the manifest says")
        wanted, reaches_back = self.count, False
        while wanted in numbers:
            reaches_back = numbers[wanted].time < self.start or wanted == 1
            wanted -= 1
        need(reaches_back and max(numbers) == self.count, f"entry {wanted} of {self.customer} is missing")
        self.complete_from = wanted + 1

    def check_clock_states(self):
        """What an entry's time rests on is itself an entry."""
        for entry in self.entries.values():
            if entry.clock_state is None:
                need(entry.verdict == "unproven", f"entry {entry.index} says '{entry.verdict}' and rests on nothing")
                continue
            state = self.entries.get(entry.clock_state)
            need(state, f"entry {entry.clock_state}, on whose clock entry {entry.index} rests, is missing")
            need(state.kind == "clock.state" and state.customer == SITE and state.index <= entry.index,
                 f"entry {state.index} is not the state of a clock before entry {entry.index}")


# ---- The summary ----------------------------------------------------------------------------------------------------

def instant(nanos):
    seconds, rest = divmod(nanos, 10**9)
    day = datetime.datetime.fromtimestamp(0, datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return f"{day:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


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
    try:
        need(len(arguments) == 2, "signer not given: give the log's key, which you got by another way than this file")
        report = Report(data, arguments[1])
        for line in summary(report):
            print(line)
    except Refused as why:
        print(f"refused: {why}", file=sys.stderr)
        return 1
    except (ValueError, KeyError, IndexError, UnicodeDecodeError, RecursionError) as error:
        print(f"refused: the evidence cannot be read ({error!r})", file=sys.stderr)
        return 1
    return 0


def summary(report):
    yield f"proven by {report.origin}, whose log then had {report.size} entries"
    yield f"customer {report.customer}, from {instant(report.start)} to {instant(report.end)}"
    yield f"entries {report.complete_from} to {report.count} of this customer, none left out"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
