"""Reads Prometheus's text format with Prometheus's own reader and says what was found: single numbers, and how many of each name."""

import collections
import sys

from prometheus_client.parser import text_string_to_metric_families

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        families = list(text_string_to_metric_families(file.read()))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a name stands in two places"
    for family in families:
        assert family.type in ("gauge", "counter") and family.documentation, family
        counted = collections.Counter()
        seen = set()
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in seen, key
            seen.add(key)
            counted[sample.name] += 1
            if set(sample.labels) <= {"verdict", "kind"}:
                print(sample.name, *sample.labels.values(), int(sample.value))
        for name, count in counted.items():
            print(name, count)
