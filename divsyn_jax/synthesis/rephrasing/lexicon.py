"""Words of a closed class: how numbers are spelled, what denies, what carries no content."""


def _listed(text: str) -> list[str]:
    return text.split()


UNITS = _listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
)
TENS = _listed("twenty thirty forty fifty sixty seventy eighty ninety")
ORDINALS = _listed("zeroth first second third fourth fifth sixth seventh eighth ninth tenth")
SCALES = {
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "billion": "1000000000",
    "trillion": "1000000000000",
}
SPELLED_NUMBERS = {
    **{word: str(value) for value, word in enumerate(UNITS)},
    **{word: str(10 * place) for place, word in enumerate(TENS, 2)},
    **SCALES,
    "dozen": "12",
    "twice": "2",
    "double": "2",
    "half": "0.5",
    "quarter": "0.25",
}
# Words that name a number and mostly count nothing ("one of them", "at first").
NOT_COUNTED = {"one", "zero", "first", "second", "half", "quarter", "double", "twice"}
NEGATIONS = frozenset(
    _listed(
        "no not never none nobody nothing nowhere neither nor cannot without hardly scarcely barely"
        " nicht kein keine keinen keiner keines nie niemals pas jamais aucun aucune sin nunca"
        " ningun ninguna non mai senza nessun nessuna не нет никогда без"
    )
)
STOP_WORDS = frozenset(
    _listed(
        "a an the and or but if then than that this these those of in on at by for from to with as"
        " is are was were be been being has have had do does did it its he she they him her them"
        " his their we us our you your i my me who which what when where why how all any each some"
        " such so also can could may might will would shall should must there here into over under"
        " about after before between during up down out more most other only own same too very just"
    )
)
