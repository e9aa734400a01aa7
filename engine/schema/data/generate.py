#!/usr/bin/env python3
"""Writes the fact tables which the crate compiles in.

    generate.py OCSF.json ATTACK_OLD.json ATTACK_NEW.json [OUTPUT_DIRECTORY]

OCSF.json is a compiled OCSF schema (classes, objects, types, categories);
ATTACK_OLD.json and ATTACK_NEW.json list the techniques of two ATT&CK
releases, the newer one with its tactics. Only facts are taken: names, numbers,
types, captions, relations. No descriptions are copied.

The output is deterministic, so a rerun on the same inputs shows no diff.

ocsf-1.8.0.txt, one record a line, fields separated by tabs:

    ocsf      VERSION
    category  NAME  UID  CAPTION
    enum      ID  int|str  KEY=CAPTION ...
    attr      KEY  TYPE  REQUIREMENT  [SIGIL FIELD ...]
    group     ID  KEY ...
    class     NAME  UID  CATEGORY  EXTENSION or -  CAPTION  [%PROFILE,...]
    object    NAME  EXTENSION or -  CAPTION
    has       KEY or +GROUP ...      (of the class or object above)
    any       NAME ...               (at least one of these is present)
    one       NAME ...               (exactly one of these is present)

An attribute KEY is its name, with `:2`, `:3` ... for the further definitions
of that name. TYPE is the OCSF type without `_t`, or `@OBJECT`; `[]` at its end
marks an array. REQUIREMENT is r(equired), c (recommended), o(ptional), with a
`!` at its end when deprecated. Sigil fields: `~SIBLING`, `%PROFILE,...`,
`#ENUM`. The enumerations `#type`, `#class` and `#category` are not stored:
they follow from the class which holds the attribute.

attack.txt:

    tactic     UID  SHORTNAME  NAME
    technique  ID  live|retired|SUCCESSOR  SHORTNAME,...[;OLDER,...]  PLATFORM,... or -  NAME

A retired technique has the id of its SUCCESSOR in the place of its state where
one is known: the one live technique of the same name, or an entry of
SUCCESSORS. Tactics after the `;` are those of the old release alone. Platforms
are those of the old release; the new one's list has none, so that a technique
that is new takes those of what it succeeds, of its parts or of its parent.
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

REQUIREMENT = {"required": "r", "recommended": "c", "optional": "o"}
# The old release's file has no tactics table; this one is gone from the new.
OLD_TACTICS = {"defense-evasion": ("TA0005", "Defense Evasion")}
# Techniques that go on under another name; those that kept it are found by it.
SUCCESSORS = {
    "T1562.002": "T1685.001",
    "T1562.003": "T1690",
    "T1562.007": "T1686.001",
    "T1562.008": "T1685.002",
    "T1562.011": "T1685.003",
    "T1562.012": "T1685.004",
    "T1562.013": "T1686.002",
}
# Platforms that nothing else tells.
PLATFORMS = {"T1686.003": ["Windows"], "T1687": ["IaaS", "Linux", "macOS", "SaaS", "Windows"]}
# What is only done before an intrusion, which ATT&CK calls a platform too.
BEFORE = {"reconnaissance", "resource-development"}
# Former names of platforms.
RENAMED_PLATFORMS = {"Office 365": "Office Suite"}


def short(name):
    """The name without its extension prefix (`win/reg_key`: `reg_key`)."""
    return name.rsplit("/", 1)[-1]


def line(*fields):
    for field in fields:
        if any(c in str(field) for c in "\t\n"):
            raise SystemExit(f"separator inside a field: {field!r}")
    return "\t".join(str(field) for field in fields)


def derived(cls, name):
    """The enumeration which the loader rebuilds for a class, as a dict."""
    attributes = cls["attributes"]
    if name == "type_uid":
        return {
            str(cls["uid"] * 100 + int(key)): f"{cls['caption']}: {caption}"
            for key, caption in attributes["activity_id"]["enum"].items()
        }
    if name == "class_uid":
        return {str(cls["uid"]): cls["caption"]}
    return None


def ocsf(schema):
    enums, variants = Counter(), defaultdict(Counter)
    holders = []  # (kind, record, {attribute name: definition})
    category_captions = {"other": None}

    def enum_key(entries, integer):
        order = (lambda kv: int(kv[0])) if integer else (lambda kv: kv[0])
        return ("int" if integer else "str", tuple(sorted(entries.items(), key=order)))

    for kind in ("classes", "objects"):
        for record in schema[kind].values():
            definitions = {}
            for name, a in record["attributes"].items():
                enum = None
                if "enum" in a:
                    expected = derived(record, name) if kind == "classes" else None
                    if kind == "classes" and name == "category_uid":
                        ((uid, caption),) = a["enum"].items()
                        assert int(uid) == record["category_uid"], record["name"]
                        category_captions[record["category"]] = caption
                        enum = "category"
                    elif expected is not None:
                        assert expected == a["enum"], (record["name"], name)
                        enum = name.removesuffix("_uid")
                    else:
                        enum = enum_key(a["enum"], a["type"] in ("integer_t", "long_t"))
                        enums[enum] += 1
                ty = "@" + short(a["type"]) if a.get("is_object") else a["type"].removesuffix("_t")
                definition = (
                    ty + ("[]" if a.get("is_array") else ""),
                    REQUIREMENT[a["requirement"]] + ("!" if "deprecated_since" in a else ""),
                    a.get("sibling") or "",
                    tuple(a.get("profile") or ()),
                    enum or "",
                )
                definitions[name] = definition
                variants[name][definition] += 1
            holders.append((kind, record, definitions))

    enum_ids = {
        e: str(i) for i, (e, _) in enumerate(sorted(enums.items(), key=lambda x: (-x[1], x[0])), 1)
    }
    keys = {}
    out = [
        "# Facts of the OCSF schema (Apache-2.0), generated by generate.py; do not edit.",
        line("ocsf", schema["version"]),
    ]
    for name, uid in sorted({(c["category"], c["category_uid"]) for c in schema["classes"].values()}, key=lambda x: x[1]):
        out.append(line("category", name, uid, category_captions[name]))
    for (kind, entries), number in enum_ids.items():
        out.append(line("enum", number, kind, *(f"{k}={v}" for k, v in entries)))
    for name in sorted(variants):
        ordered = sorted(variants[name].items(), key=lambda x: (-x[1], repr(x[0])))
        for index, (definition, _) in enumerate(ordered, 1):
            key = name if index == 1 else f"{name}:{index}"
            keys[name, definition] = key
            ty, requirement, sibling, profiles, enum = definition
            extra = []
            if sibling:
                extra.append("~" + sibling)
            if profiles:
                extra.append("%" + ",".join(profiles))
            if enum:
                extra.append("#" + (enum if isinstance(enum, str) else enum_ids[enum]))
            out.append(line("attr", key, ty, requirement, *extra))

    # Attributes which always occur together are listed once, as a group.
    where = defaultdict(list)
    for index, (_, _, definitions) in enumerate(holders):
        for name, definition in definitions.items():
            where[keys[name, definition]].append(index)
    together = defaultdict(list)
    for key, places in where.items():
        together[tuple(places)].append(key)
    group_of = {}
    shared = [(p, sorted(k)) for p, k in together.items() if len(p) > 1 and len(k) > 1]
    for number, (_, members) in enumerate(sorted(shared, key=lambda x: (-len(x[0]) * len(x[1]), x[1])), 1):
        out.append(line("group", number, *members))
        group_of.update((key, number) for key in members)

    def order(holder):
        kind, record, _ = holder
        return (kind, record.get("uid", 0), record["name"])

    for kind, record, definitions in sorted(holders, key=order):
        extension = record.get("extension") or "-"
        if kind == "classes":
            fields = ["class", short(record["name"]), record["uid"], record["category"], extension, record["caption"]]
            if record.get("profiles"):
                fields.append("%" + ",".join(sorted(record["profiles"])))
        else:
            fields = ["object", short(record["name"]), extension, record["caption"]]
        out.append(line(*fields))
        all_keys = [keys[n, d] for n, d in definitions.items()]
        groups = sorted({group_of[k] for k in all_keys if k in group_of})
        own = sorted(k for k in all_keys if k not in group_of)
        if all_keys:
            out.append(line("has", *(f"+{g}" for g in groups), *own))
        constraints = record.get("constraints") or {}
        assert set(constraints) <= {"at_least_one", "just_one"}, constraints
        if constraints.get("at_least_one"):
            out.append(line("any", *constraints["at_least_one"]))
        if constraints.get("just_one"):
            out.append(line("one", *constraints["just_one"]))
    return out


def successors_of(old, new):
    """The live technique that each retired one goes on as."""
    by_name = defaultdict(list)
    for technique, facts in new.items():
        by_name[facts["name"].lower()].append(technique)
    found = {}
    for technique, facts in old.items():
        same = by_name[facts["name"].lower()]
        if technique not in new and len(same) == 1:
            found[technique] = same[0]
    return found | {a: b for a, b in SUCCESSORS.items() if a in old and b in new}


def platforms(technique, old, new, successors):
    """The platforms of a technique, as a set."""
    if technique in old:
        return {RENAMED_PLATFORMS.get(p, p) for p in old[technique]["platforms"]}
    if technique in PLATFORMS:
        return set(PLATFORMS[technique])
    if set(new[technique]["tactics"]) <= BEFORE:
        return {"PRE"}
    parts = [a for a, b in successors.items() if b == technique]
    parts += [t for t in new if t.startswith(technique + ".")]
    if parts:
        return set().union(*(platforms(p, old, new, successors) for p in parts))
    parent = technique.partition(".")[0]
    return platforms(parent, old, new, successors) if parent != technique else set()


def attack(old, new):
    old_techniques = {t["id"]: t for t in old["techniques"]}
    new_techniques = {t["id"]: t for t in new["techniques"]}
    tactics = {t["shortname"]: (t["id"], t["name"]) for t in new["tactics"].values()}
    for shortname, facts in OLD_TACTICS.items():
        tactics.setdefault(shortname, facts)
    out = [
        "# Facts of MITRE ATT&CK, enterprise matrix (c) The MITRE Corporation, reproduced with",
        "# permission under the ATT&CK Terms of Use; generated by generate.py; do not edit.",
    ]
    for shortname, (uid, name) in sorted(tactics.items(), key=lambda x: (x[1][0], x[0])):
        out.append(line("tactic", uid, shortname, name))
    successors = successors_of(old_techniques, new_techniques)
    for technique in sorted(old_techniques | new_techniques):
        newest = new_techniques.get(technique) or old_techniques[technique]
        names = new_techniques.get(technique, {}).get("tactics", [])
        older = [t for t in old_techniques.get(technique, {}).get("tactics", []) if t not in names]
        assert all(shortname in tactics for shortname in names + older), technique
        served = ",".join(names) + (";" if names and older else "") + ",".join(older)
        state = "live" if technique in new_techniques else successors.get(technique, "retired")
        known = sorted(platforms(technique, old_techniques, new_techniques, successors), key=str.lower)
        out.append(line("technique", technique, state, served, ",".join(known) or "-", newest["name"]))
    return out


def main(arguments):
    if len(arguments) not in (3, 4):
        raise SystemExit(__doc__)
    schema, old, new = (json.loads(Path(p).read_text(encoding="utf-8")) for p in arguments[:3])
    target = Path(arguments[3]) if len(arguments) == 4 else Path(__file__).resolve().parent
    for name, lines in ((f"ocsf-{schema['version']}.txt", ocsf(schema)), ("attack.txt", attack(old, new))):
        (target / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
