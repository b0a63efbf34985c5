#!/usr/bin/env python3
"""Checks what Angbu hands out with nothing but Python's standard library, and prints a summary of its own.

    python3 verify.py FILE LOG_KEY [LOG_KEY...] [--witness KEY]...

FILE is a report, a receipt, or the proof that a log has shown two histories. LOG_KEY is the log's verifier key,
`name+id+key`; give several where it has changed: one of them must have signed. Each witness whose key is given must
have cosigned. Get the keys from whoever runs the log or the witness by another way than the file itself: a file that
brings its own key proves nothing.

Exit status: 0 proven, 1 refused (the first wrong thing is named) or no key given, 2 wrong usage.

What is checked in a report is the evidence inside, and the summary is made from that alone. The readable page around
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
LOG, WITNESS = 1, 4


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


def roots(old, new, path):
    """The roots of the first `old` and of all `new` leaves of the one tree that the path is of."""
    low, high, steps = 0, new, []
    while old != high:
        middle = low + split(high - low)
        steps.append(old <= middle)
        low, high = (low, middle) if old <= middle else (middle, high)
    need(len(path) == len(steps) + 1, "the path through the larger log has not the length of one")
    first = second = path[0]
    for on_the_left, sibling in zip(reversed(steps), path[1:]):
        first = first if on_the_left else node(sibling, first)
        second = node(second, sibling) if on_the_left else node(sibling, second)
    return first, second


# ---- Signed heads (C2SP signed-note, tlog-checkpoint, tlog-cosignature) ---------------------------------------------

Key = collections.namedtuple("Key", "name id data type")


def verifier_key(text):
    """Reads `name+id+base64`; none if it is misspelt or of another type."""
    name, _, rest = text.partition("+")
    key_id, _, key = rest.partition("+")
    try:
        key = decoded(key, 33)
    except Refused:
        return None
    expected = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    known = key[0] in (LOG, WITNESS) and key_id == expected.hex() and name and not re.search(r"[\s+]", name)
    return Key(name, expected, key[1:], key[0]) if known else None


def signatures(note):
    """The text of a signed note and its signature lines: (name, key id, signature)."""
    text, blank, lines = note.rpartition("\n\n")
    need(blank and lines.endswith("\n") and len(note) <= 65536, "the checkpoint is not a signed note")
    need(lines.count("\n") <= 100, "a signed note has at most 100 signatures")
    signed = []
    for line in lines[:-1].split("\n"):
        dash, name, signature = (line.split(" ") + 3 * [""])[:3]
        need(dash == "\u2014" and line.count(" ") == 2, "a signature line is not '\u2014 name base64'")
        signed.append((name, decoded(signature)[:4], decoded(signature)[4:]))
    return f"{text}\n", signed


def signed_at(text, key, signature):
    """Checks a signature line's signature: 0 for a log's, and for a witness's the second of its cosignature."""
    why = f"the signature of '{key.name}' is wrong: it or the checkpoint was changed"
    if key.type == LOG:
        need(signed_by(key.data, text.encode(), signature), why)
        return 0
    need(len(signature) == 72 and signature[0] < 128, why)
    seconds = int.from_bytes(signature[:8], "big")
    need(signed_by(key.data, f"cosignature/v1\ntime {seconds}\n{text}".encode(), signature[8:]), why)
    return seconds


def checkpoint(text):
    origin, size, top = (text.split("\n") + 3 * [""])[:3]
    need(text.count("\n") == 3 and origin, "the checkpoint is not one of this log")
    return origin, number(size), decoded(top, 32)


class Keys:
    """The keys that the verifier was given."""

    def __init__(self, logs, witnesses):
        self.logs, self.witnesses = logs, witnesses

    def check_all(self, note, signers):
        """Checks each signature by the key that the report names for it; returns the checkpoint and the signers."""
        text, signed = signatures(note)
        need(len(signed) == len(signers), "the report names another number of signers than there are signatures")
        times = []
        for (name, key_id, signature), key in zip(signed, signers):
            right = (name, key_id) == (key.name, key.id)
            need(right, f"the signature by '{name}' is not by the signer that the report names for it")
            times.append(signed_at(text, key, signature))
        origin, size, top = checkpoint(text)
        need(len(set(signers)) == len(signers), "somebody has signed the checkpoint twice")
        other = [key.name for key in signers if key.type == LOG and key.name != origin]
        need(not other, f"'{(other or [0])[0]}' signed the checkpoint of '{origin}' as a log would")
        order = [(key.type == WITNESS, key.type == WITNESS and (key.name, key.id)) for key in signers]
        need(order == sorted(order), "the signatures are not in their order: the log's first, then witnesses' by name")
        names = ", ".join(f"'{key.name}' ({key.id.hex()})" for key in signers)
        need(set(signers) & set(self.logs), f"signed by {names}, whose key was not given")
        for witness in self.witnesses:
            need(witness in signers, f"the witness '{witness.name}' has not cosigned the checkpoint")
        return origin, size, top, list(zip(signers, times))

    def check_known(self, note):
        """Checks the signatures by given keys and leaves others alone, as in a note from anywhere."""
        text, signed = signatures(note)
        origin, size, top = checkpoint(text)
        found = []
        for name, key_id, signature in signed:
            for key in self.logs + self.witnesses:
                if (name, key_id) == (key.name, key.id):
                    need(key not in [key for key, _ in found], f"'{name}' has signed the checkpoint twice")
                    found.append((key, signed_at(text, key, signature)))
        logs = [key for key, _ in found if key.type == LOG and key.name == origin]
        names = ", ".join(f"'{name}' ({key_id.hex()})" for name, key_id, _ in signed)
        need(logs, f"signed by {names}, whose key was not given")
        return origin, size, top, found


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

    def __init__(self, file, keys):
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
        signers = [verifier_key(key) for key, in lines.while_word("signer", 1)]
        need(all(signers), "a signer is not a verifier key, or is misspelt")
        self.origin, self.size, top, self.signers = keys.check_all(note, signers)
        self.relied_on = [*keys.logs, *keys.witnesses]
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
        counted = [entry.time for entry in self.entries.values() if entry.index < number(self.manifest.text("size"))]
        self.until = max(counted, default=-2**63)
        need(self.until >= self.end, "the manifest counts no entry here that is as late as the period's end")
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
        lower = [count for count in numbers if count < wanted]
        if not reaches_back and wanted == self.count:
            lower = f"{max(lower) + 1} to " if lower and max(lower) + 1 < wanted else "" if lower else "1 to "
            raise Refused(f"entry number {lower}{wanted} of {self.customer} is missing, the last that the manifest counts")
        if not reaches_back and lower and (numbers[max(lower)].time >= self.start or max(lower) + 1 == wanted):
            before, after = instant(numbers[max(lower)].time), instant(numbers[wanted + 1].time)
            first = f"{max(lower) + 1} to " if max(lower) + 1 < wanted else ""
            raise Refused(f"entry number {first}{wanted} of {self.customer} is missing, between {before} and {after}")
        need(reaches_back, f"entry number {wanted} of {self.customer} is missing, and what leads to the period's start")
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
          f"{instant(report.until)} by the centre's clock, {report.manifest.verdict} then"
    yield from signers_summary(report.signers, report.relied_on)
    kinds = collections.Counter(entry.kind for entry in report.entries.values())
    yield "in all: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    if report.kind == "time":
        yield from time_summary(report)
        yield "the agents' own signatures were NOT checked; `angbu verify` does that"
    yield "the readable page was NOT checked against this; `angbu verify` does that too"


def signers_summary(signers, relied_on):
    for key, seconds in signers:
        did = f"cosigned by witness {key.name}" if key.type == WITNESS else f"signed by {key.name}"
        when = f" at {instant(seconds * 10**9)} by its own clock" if key.type == WITNESS and seconds < 2**33 else ""
        given = "" if key in relied_on else ": this key was not given, so that counts for nothing"
        yield f"{did} ({key.id.hex()}){when}{given}"


def receipt_summary(file, keys):
    """A C2SP tlog-proof with the entry in its extra line."""
    lines = Lines(file.decode().partition("\n\n")[0] + "\n")
    lines.next()
    entry, = lines.words("extra", 1)
    entry, (index,) = decoded(entry), lines.words("index", 1)
    index, path = number(index), [decoded(line, 32) for line in lines.lines[lines.at:]]
    need(len(path) <= 64, "no path has more than 64 hashes")
    origin, size, top, signers = keys.check_known(file.decode().partition("\n\n")[2])
    need(index < size, f"entry {index} lies outside the log, which had {size} entries")
    prove_all([(index, leaf(entry))], size, reversed(path), top)
    for witness in keys.witnesses:
        need(witness in [key for key, _ in signers], f"the witness '{witness.name}' has not cosigned the checkpoint")
    yield f"proven by {origin}, whose log then had {size} entries: entry {index} is"
    yield from (f"    {ascii(line)[1:-1]}" for line in entry.decode().splitlines())
    yield from signers_summary(signers, [*keys.logs, *keys.witnesses])


def fork_summary(file, keys):
    """Two signed heads of one log that cannot both be true."""
    lines = Lines(file.decode())
    lines.next()
    heads = []
    for _ in range(2):
        note = "".join(lines.next() + "\n" for _ in range(min(number(*lines.words("checkpoint", 1)), 200)))
        heads.append(keys.check_known(note)[:3])
    path = [decoded(*words, 32) for words in lines.while_word("node", 1)]
    need(lines.next() == "end" and lines.at == len(lines.lines), f"line {lines.at} is not the file's end")
    (origin, old, old_root), (other, new, new_root) = heads
    need(origin == other, "the two heads are of two logs")
    need((old, old_root) <= (new, new_root), "the head of the smaller log comes first")
    if old == 0 or old == new:
        need(not path, "there is a path where none is needed")
        instead = hashlib.sha256().digest() if old == 0 else new_root
    else:
        instead, found = roots(old, new, path)
        need(found == new_root, "the path does not lead to the larger log's root")
    need(instead != old_root or (new == 0 and new_root != instead), "the two heads do not contradict each other")
    yield f"proven: {origin} has signed two histories"
    yield f"in one, its first {old} entries have the root {base64.b64encode(old_root).decode()}"
    yield f"in the other, of {new} entries, they have the root {base64.b64encode(instead).decode()}"


def time_summary(report):
    names, offsets, alarms = {}, collections.defaultdict(list), collections.Counter()
    summaries = collections.Counter()
    for entry in report.entries.values():
        agent = entry.fields.get("agent", b"").decode()
        if entry.kind == "time.enrolment":
            names[agent] = entry.fields.get("name", b"").decode()
        elif entry.kind == "time.segment" and "exchanges" in entry.fields:
            offsets[agent] += [((t2 - t1) + (t3 - t4)) / 2e6 for t1, t2, t3, t4 in exchanges(entry.fields["exchanges"])
                               if report.start <= t3 < report.end]
        elif entry.kind == "time.summary" and "from" in entry.fields:
            first, after = (number(entry.text(name), "-?") for name in ("from", "to"))
            summaries[agent] += first < report.end and report.start < after
        elif entry.kind == "time.alarm":
            at = entry.text("at") if entry.text("centre-at") == "-" else entry.text("centre-at")
            alarms[agent] += report.start <= number(at, "-?") < report.end
    for agent in sorted({*names, *offsets, *alarms, *summaries}):
        found = offsets[agent]
        span = f", offset {min(found):.3f} to {max(found):.3f} ms" if found else ""
        name = ascii(names.get(agent, ""))[1:-1]
        # Where the segments are in the report too, with their exchanges, a summary says nothing more.
        kept = f", {summaries[agent]} summaries of hours" if summaries[agent] else ""
        yield f"{agent} {name}: {len(found)} exchanges in the period{span}, {alarms[agent]} alarms{kept}"


def told(data, keys):
    if data.startswith(b"c2sp.org/tlog-proof@v1\n"):
        return receipt_summary(data, keys)
    if data.startswith(b"angbu/1 fork\n"):
        return fork_summary(data, keys)
    return summary(Report(data, keys))


def read_keys(arguments):
    """The keys among the arguments; none where one is misspelt or of the wrong type."""
    logs, witnesses, arguments = [], [], iter(arguments)
    for argument in arguments:
        witness = argument == "--witness"
        key = verifier_key(next(arguments, "") if witness else argument)
        if not key or (key.type == WITNESS) != witness:
            wanted = "a witness's verifier key (type 4)" if witness else "a log's verifier key (type 1)"
            print(f"'{argument}' is not {wanted}, or is misspelt", file=sys.stderr)
            return None
        (witnesses if witness else logs).append(key)
    return Keys(logs, witnesses)


def main(arguments):
    if not arguments or arguments[0].startswith("--"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with open(arguments[0], "rb") as file:
            data = file.read()
    except OSError as error:
        print(f"{arguments[0]}: {error.strerror}", file=sys.stderr)
        return 2
    keys = read_keys(arguments[1:])
    if not keys:
        return 2
    try:
        need(keys.logs, "signer not given: give the log's key, which you got by another way than this file")
        print("\n".join(told(data, keys)))
    except Refused as why:
        print(f"refused: {why}", file=sys.stderr)
        return 1
    except (ValueError, IndexError, OverflowError, RecursionError, RuntimeError) as error:
        print(f"refused: the evidence cannot be read ({error!r})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
