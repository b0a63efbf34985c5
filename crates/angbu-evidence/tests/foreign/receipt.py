"""Checks a COSE receipt with scitt-cose and prints what it says: receipt.py RECEIPT ENTRY PUBLIC_KEY_HEX."""

import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from scitt_cose.receipt import verify_receipt


def main(receipt, entry, key):
    pem = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with open(receipt, "rb") as file:
        data = file.read()
    with open(entry, "rb") as file:
        leaf = file.read().hex()
    found = verify_receipt(data, leaf_entry_hex=leaf, log_public_key_pem=pem)
    if not found.ok:
        print("refused:", "; ".join(found.errors), file=sys.stderr)
        return 1
    print(found.issuer, found.subject, found.leaf_index, found.tree_size, found.root)
    return 0


sys.exit(main(*sys.argv[1:]))
