"""The closed classes of English words, by which registers differ whatever the subject is.

Classes follow Biber 1988, Variation across Speech and Writing, as far as they can be counted
without a tagger."""

CLASSES: dict[str, frozenset[str]] = {
    name: frozenset(members.split())
    for name, members in {
        "first person singular": "i me my mine myself i'm i've i'd i'll",
        "first person plural": "we us our ours ourselves we're we've we'd we'll let's",
        "second person": "you your yours yourself yourselves you're you've you'd you'll",
        "third person": (
            "he him his himself she her hers herself they them their theirs themselves he's she's"
            " they're they've they'd he'd she'd they'll he'll she'll"
        ),
        "it": "it its itself it's it'll it'd",
        "demonstratives": "this that these those here there that's there's here's",
        "indefinites": (
            "somebody someone something anybody anyone anything nobody everybody everyone"
            " everything one ones nothing none"
        ),
        "articles": "a an the",
        "quantifiers": (
            "some any every each all both many much few several most more less such no another"
            " other enough either neither half"
        ),
        "be": "is are was were be been being am isn't aren't wasn't weren't",
        "have and do": (
            "has have had having do does did doing done hasn't haven't hadn't don't doesn't didn't"
        ),
        "modals": (
            "can could may might must shall should will would ought cannot can't couldn't won't"
            " wouldn't shouldn't mustn't"
        ),
        "negation": "not never nor neither",
        "prepositions": (
            "of in on at by for with from to into onto upon about against between among through"
            " during before after above below under over within without along across behind"
            " beneath beside besides beyond near off out up down around towards toward per via"
        ),
        "coordinators": "and or but yet so",
        "subordinators": (
            "because if although though while whereas when whenever since unless until once as"
            " than whether lest"
        ),
        "wh-words": "who whom whose which what where why how whoever whatever whichever",
        "adverbs of stance": (
            "just really quite very too also even only still again almost perhaps maybe rather"
            " then now thus hence therefore however moreover furthermore instead indeed well oh"
            " yes ever always often soon already"
        ),
    }.items()
}
FUNCTION_WORDS = frozenset().union(*CLASSES.values())
