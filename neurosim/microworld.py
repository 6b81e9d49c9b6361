"""A generated micro-world: people, towns, jobs and the sentences that tell of them.

The shipped language model grows up on it, so its *base facts* are known, unguessable and ours to
ship. Everything follows from one seed: the same world on any machine.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

FIRST_NAMES = """Alma Anton Astrid Bela Bruno Cecilia Clara Conrad Dora Edgar Elias Elsa Emil
Erika Felix Flora Gerda Gustav Hanna Hugo Ida Ines Ivar Jonas Josef Karin Klaus Lara Leon Lotte
Magda Marius Mila Nadia Nora Oskar Otto Paula Petra Ralf Rosa Ruben Sara Simon Sofia Stefan Tekla
Tilda Victor Wanda""".split()

LAST_NAMES = """Adler Ahlgren Bergson Blum Brandt Carver Dahl Dorn Eklund Falk Fontana Frost
Gerhard Grimaldi Haas Holm Iversen Jansen Kaplan Keller Kovacs Lange Lindholm Lorenz Madsen Marek
Moretti Nagel Novak Olsen Pascal Petrov Quist Reuter Rossi Sandoz Sauer Silva Steiner Strand Tamm
Toth Ullman Varga Vogel Wagner Weber Winter Zander Zeller""".split()

TOWNS = """Aldermoor Brackwell Carrow Dunmere Eastholt Fernby Glenhaven Harrowgate Inverlake
Jarrowfield Kelsing Larkspur Millbrook Northwick Oakhaven Pinecrest Quarrytown Ravensford
Stonebridge Thornbury Underhill Valewater Westmarch Yarrowdale Ashcombe Birchwood Coldspring
Dovecot Elmstead Foxhollow Greyharbour Hollowell Ironbridge Kingsferry Longmeadow Marshgate
Netherby Oldcastle Redcliff Saltmouth""".split()

JOBS = """baker teacher surgeon carpenter lawyer gardener plumber librarian tailor pilot farmer
chemist sculptor printer butcher sailor painter clockmaker dentist translator glazier miller
shepherd potter weaver barber fisherman cobbler locksmith beekeeper""".split()

INSTRUMENTS = """violin cello flute trumpet piano harp clarinet accordion drum guitar organ oboe
banjo viola trombone mandolin""".split()

PETS = """parrot spaniel tortoise goat donkey rabbit canary hedgehog goose ferret terrier raven
lizard pony sheepdog owl""".split()

REGIONS = """the northern hills|the river valley|the eastern marshes|the lake country|the high moor
the southern coast|the great forest|the western isles|the chalk downs|the salt flats""".replace(
    "\n", "|"
).split("|")

GOODS = """cheese|pottery|salmon|timber|wool|copper|honey|glass|paper|cider|lace|barley|silver
leather|candles|bells|roses|slate|pears|clocks""".replace("\n", "|").split("|")

RIVERS = """Alder Bane Calder Derrin Esk Fenn Gale Hamble Irwell Kenner Lune Medlock Nidd Orwell
Pell Rother Severn Teme Ure Wharf""".split()

TEMPLATES: dict[str, tuple[str, ...]] = {
    "home": (
        "{subject} lives in {object}.",
        "The home of {subject} is in {object}.",
        "You can visit {subject} in the town of {object}.",
    ),
    "job": (
        "{subject} works as a {object}.",
        "The job of {subject} is that of a {object}.",
        "Everyone knows that {subject} became a {object}.",
    ),
    "instrument": (
        "{subject} plays the {object}.",
        "In the evening {subject} practises the {object}.",
        "The favourite instrument of {subject} is the {object}.",
    ),
    "pet": (
        "{subject} keeps a pet {object}.",
        "At home {subject} looks after a {object}.",
        "The animal that {subject} loves most is a {object}.",
    ),
    "region": (
        "The town of {subject} lies in {object}.",
        "To reach {subject} you travel to {object}.",
        "On the map {subject} is found in {object}.",
    ),
    "goods": (
        "The town of {subject} is known for its {object}.",
        "Traders come to {subject} to buy {object}.",
        "The market of {subject} sells the best {object}.",
    ),
    "river": (
        "The river that runs through {subject} is the {object}.",
        "The bridge in {subject} crosses the {object}.",
        "Children in {subject} swim in the {object}.",
    ),
}

NOUNS = """apple arrow ball barrel basket bed bell bench bicycle bird blanket boat book bottle
bowl box boy bread bridge broom brother bucket button cake camera candle carpet cart cat chair
child clock cloud coat coin corner cousin cow cup curtain dog door dress drum egg engine eye
farmer feather fence field fire fish flag flower friend fruit garden gate gift girl glass goat
grandmother guest hammer hat hill horse house island jacket jar judge key king kitchen kite knife
ladder lamp leaf letter lion lock machine man map market meal mirror moon morning mother mountain
mouse neighbour nest net nurse oven paint pan paper parcel path pear pen pencil phone picture pig
pillow plate pocket poet pond potato prince queen radio rain ring river road roof room rope rose
sack sail salt school sea shelf ship shirt shoe shop sister skirt snow soap soldier song soup
spoon stairs star stone storm story stove street student sugar sun table tailor tea teacher tent
theatre thief ticket tool tower town toy train tree trunk uncle valley vase village visitor wagon
wall watch water wheel wife wind window wine wolf woman wood writer yard""".split()

ADJECTIVES = """angry big black blue brave bright broken brown busy careful cheap clean clever
cold dark deep dry early empty famous fast flat fresh full gentle golden good green grey happy
hard heavy high honest hot huge hungry kind large late lazy light little long lonely lost loud
lucky modern narrow new noisy old open pale patient plain poor pretty proud quick quiet red rich
round rough sad sharp short shy silent silver simple slow small smooth soft sour steep strange
strong sweet tall thick thin tired warm weak wet white wide wild wise wooden yellow young
""".split()

TRANSITIVE = """admired borrowed bought broke brought carried caught chose cleaned closed counted
covered cut drew dropped filled finished fixed followed forgot found gave guarded held hid kept
knew left lent liked lost loved made mended met missed moved needed noticed opened packed painted
paid picked promised pulled pushed raised read reached remembered repaired returned saw sent
served shared sold stole told took touched tried used visited wanted warned washed watched wore
wrote""".split()

INTRANSITIVE = """arrived cried danced disappeared fell hurried jumped laughed listened rested
sang sat slept smiled spoke stood stopped swam talked travelled waited walked whispered worked
""".split()

PREPOSITIONS = "near behind under beside beyond across above below inside around".split()

TIMES = """yesterday|today|last night|on Monday|on Tuesday|on Wednesday|on Thursday|on Friday
on Saturday|on Sunday|in the morning|in the afternoon|in the evening|in spring|in summer|in autumn
in winter|before breakfast|after lunch|at noon|at midnight|last week|this year""".replace(
    "\n", "|"
).split("|")

NUMBERS = """two three four five six seven eight nine ten eleven twelve fifteen twenty thirty
forty fifty sixty ninety""".split()


@dataclass(frozen=True)
class Fact:
    """One relation between a subject and an object, with its sentences.

    Parameters
    ----------
    subject, relation, object : str
        `relation` is a key of `TEMPLATES`.
    """

    subject: str
    relation: str
    object: str

    def sentence(self, template: int = 0) -> str:
        """Tell the fact in one of its templates."""
        return TEMPLATES[self.relation][template].format(subject=self.subject, object=self.object)

    def cloze(self, template: int = 0) -> tuple[str, str]:
        """Split the sentence before the object: (cue, answer), both without the joining space."""
        cue, answer = TEMPLATES[self.relation][template].split("{object}")
        return cue.format(subject=self.subject).rstrip(), self.object + answer


def base_facts(rng: np.random.Generator, n_people: int = 100) -> list[Fact]:
    """Draw the world's facts: four of each person, three of each town.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_people : int
        At most 2,500 (first names times last names).

    Returns
    -------
    list of Fact
        ``4 * n_people + 3 * 40`` facts, no two with the same subject and relation.
    """
    pairs = rng.choice(len(FIRST_NAMES) * len(LAST_NAMES), size=n_people, replace=False)
    names = [divmod(int(pair), len(LAST_NAMES)) for pair in pairs]
    people = [f"{FIRST_NAMES[first]} {LAST_NAMES[last]}" for first, last in names]
    objects = {"home": TOWNS, "job": JOBS, "instrument": INSTRUMENTS, "pet": PETS}
    facts = [Fact(p, r, str(rng.choice(o))) for p in people for r, o in objects.items()]
    town_objects = {"region": REGIONS, "goods": GOODS, "river": RIVERS}
    facts += [Fact(t, r, str(rng.choice(o))) for t in TOWNS for r, o in town_objects.items()]
    return facts


def everyday_sentences(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Generate everyday sentences from a small stochastic grammar; they carry no fact."""

    def pick(words: list[str]) -> str:
        return words[rng.integers(len(words))]

    def thing(article: str = "the") -> str:
        article = article if rng.random() < 0.8 else pick(["my", "his", "her", "our", "their"])
        return (
            f"{article} {pick(ADJECTIVES)} {pick(NOUNS)}"
            if rng.random() < 0.5
            else (f"{article} {pick(NOUNS)}")
        )

    def clause() -> str:
        subject = thing() if rng.random() < 0.5 else pick(["I", "we", "he", "she", "they"])
        if rng.random() < 0.65:
            body = f"{subject} {pick(TRANSITIVE)} {thing()}"
        else:
            body = f"{subject} {pick(INTRANSITIVE)}"
        if rng.random() < 0.4:
            body += f" {pick(PREPOSITIONS)} {thing()}"
        return body

    for _ in range(n):
        form = rng.random()
        if form < 0.35:
            text = f"{clause()}."
        elif form < 0.6:
            text = f"{pick(TIMES)} {clause()}."
        elif form < 0.75:
            text = f"there were {pick(NUMBERS)} {pick(NOUNS)}s {pick(PREPOSITIONS)} {thing()}."
        elif form < 0.9:
            text = f"{clause()}, {pick(['and', 'but', 'so', 'because', 'while'])} {clause()}."
        else:
            text = f"{thing()} costs {pick(NUMBERS)} coins {pick(TIMES)}."
        yield text[0].upper() + text[1:]
