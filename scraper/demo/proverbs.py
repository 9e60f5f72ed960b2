"""A hundred proverbs that belong to everybody, ten to a page of the quotes site."""

from dataclasses import dataclass

PAGE_SIZE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One saying, as the API gives it out."""

    text: str
    author: str
    tags: tuple[str, ...]


def quotes_on(page: int) -> tuple[Quote, ...]:
    """The quotes of a page, counted from 1; past the last page there are none."""
    return QUOTES[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]


def has_page(page: int) -> bool:
    return 1 <= page <= -(-len(QUOTES) // PAGE_SIZE)


# Where it is told → what is said, with its tags.
_PROVERBS = {
    "English": (
        ("A stitch in time saves nine.", "work time"),
        ("Actions speak louder than words.", "deeds words"),
        ("All that glitters is not gold.", "wealth wisdom"),
        ("A watched pot never boils.", "patience time"),
        ("Better late than never.", "time"),
        ("Birds of a feather flock together.", "friendship nature"),
        ("Don't count your chickens before they are hatched.", "hope nature"),
        ("Every cloud has a silver lining.", "hope nature"),
        ("Many hands make light work.", "friendship work"),
        ("Too many cooks spoil the broth.", "food work"),
        ("The early bird catches the worm.", "nature time work"),
        ("Look before you leap.", "caution"),
        ("He who hesitates is lost.", "courage"),
        ("Still waters run deep.", "nature silence"),
        ("Where there's a will, there's a way.", "courage"),
        ("You can lead a horse to water, but you can't make it drink.", "nature wisdom"),
        ("The proof of the pudding is in the eating.", "deeds food"),
        ("Least said, soonest mended.", "silence words"),
        ("Waste not, want not.", "wealth"),
        ("Make hay while the sun shines.", "nature time work"),
    ),
    "Latin": (
        ("Fortune favours the bold.", "courage luck"),
        ("Make haste slowly. (Festina lente.)", "patience time"),
        ("In wine there is truth. (In vino veritas.)", "food truth"),
        ("While there is life, there is hope.", "hope"),
        ("Words fly away, writings remain.", "words"),
        ("A sound mind in a sound body.", "wisdom"),
        ("Practice is the best teacher.", "learning work"),
    ),
    "Japanese": (
        ("Fall seven times, stand up eight.", "courage"),
        ("Even monkeys fall from trees.", "humility nature"),
        ("The frog in the well knows nothing of the great ocean.", "humility nature"),
        ("The nail that sticks out gets hammered down.", "caution"),
        ("Dumplings rather than flowers.", "food wisdom"),
        ("A talented hawk hides its claws.", "humility nature"),
        ("Ten people, ten colours.", "friendship"),
        ("Sit three years on a stone, and even the stone grows warm.", "patience"),
    ),
    "Chinese": (
        ("A journey of a thousand miles begins with a single step.", "courage travel"),
        ("A single spark can start a prairie fire.", "nature"),
        ("When drinking water, think of its source.", "gratitude"),
        ("The old horse knows the way.", "learning travel"),
        ("Dig the well before you are thirsty.", "caution work"),
        ("A gentleman's friendship is as plain as water.", "friendship"),
    ),
    "German": (
        ("Practice makes the master. (Übung macht den Meister.)", "learning work"),
        ("The morning hour has gold in its mouth.", "time work"),
        ("Everything has an end; only the sausage has two.", "food humour"),
        ("Rust comes to what rests. (Wer rastet, der rostet.)", "work"),
        ("Trust is good, control is better.", "caution"),
        ("Lies have short legs. (Lügen haben kurze Beine.)", "truth"),
        ("The devil's in the detail.", "caution work"),
        ("Speech is silver, silence is golden.", "silence words"),
    ),
    "French": (
        ("Little by little, the bird builds its nest.", "nature patience work"),
        ("The clothes don't make the monk. (L'habit ne fait pas le moine.)", "wisdom"),
        ("Appetite comes with eating. (L'appétit vient en mangeant.)", "food"),
        ("By forging one becomes a blacksmith.", "learning work"),
        ("After the rain, the fine weather. (Après la pluie, le beau temps.)", "hope nature"),
        ("He who steals an egg will steal an ox.", "truth"),
        ("One swallow does not make a spring.", "caution nature"),
    ),
    "Spanish": (
        ("Tell me who you walk with, and I will tell you who you are.", "friendship"),
        ("A shrimp that sleeps is carried off by the current.", "caution nature"),
        ("In the house of the blacksmith, a wooden knife.", "humour work"),
        ("It is never too late for good fortune.", "hope time"),
        ("Flies don't enter a closed mouth.", "silence words"),
        ("Each madman with his own theme. (Cada loco con su tema.)", "humour"),
        ("He who covers much holds little.", "wisdom work"),
    ),
    "Italian": (
        ("He who goes slowly goes safely, and goes far.", "patience travel"),
        ("Between saying and doing lies the sea.", "deeds words"),
        ("He who sleeps catches no fish.", "nature work"),
        ("The night brings counsel. (La notte porta consiglio.)", "patience time"),
        ("Don't sell the skin before you have caught the bear.", "caution nature"),
    ),
    "Russian": (
        ("Trust, but verify.", "caution truth"),
        ("Measure seven times, cut once.", "caution work"),
        ("The morning is wiser than the evening.", "patience time"),
        ("Live a century, learn a century.", "learning time"),
        ("Without effort you won't pull a fish from the pond.", "nature work"),
        ("If you chase two hares, you will catch neither.", "nature wisdom"),
        ("A word is not a sparrow: once it flies out, you can't catch it.", "nature words"),
    ),
    "Dutch": (
        ("He who burns his backside must sit on the blisters.", "humour wisdom"),
        ("High trees catch much wind.", "humility nature"),
        ("Soft healers make stinking wounds.", "courage"),
        ("The best helmsmen stand on shore.", "humour travel"),
        ("If two dogs fight for a bone, a third runs off with it.", "humour nature"),
    ),
    "Turkish": (
        ("Drop by drop, a lake is made.", "patience"),
        ("Stones are thrown only at the tree that bears fruit.", "nature"),
        ("A cup of coffee is remembered for forty years.", "food friendship gratitude"),
        ("The one who asks crosses mountains; the one who doesn't is lost on the plain.", "learning travel"),
        ("Hasty work gets mixed with the devil.", "patience work"),
    ),
    "Irish": (
        ("There is no fireside like your own fireside.", "home"),
        ("A good start is half the work.", "work"),
        ("People live in each other's shelter.", "friendship home"),
        ("Praise the youth, and they will flourish.", "learning"),
    ),
    "Scottish": (
        ("What's for you will not go past you.", "hope luck"),
        ("Many a little makes a mickle.", "patience wealth"),
        ("Better bend than break.", "humility wisdom"),
    ),
    "Swedish": (
        ("There is no bad weather, only bad clothes.", "humour nature"),
        ("Borta bra men hemma bäst: away is good, but home is best.", "home travel"),
        ("Shared joy is double joy; shared sorrow is half a sorrow.", "friendship"),
    ),
    "Danish": (
        ("Bend the tree while it is young.", "learning nature"),
        ("He who's afraid of asking is ashamed of learning.", "learning"),
    ),
    "Swahili": (
        ("Hurry, hurry has no blessing. (Haraka haraka haina baraka.)", "patience"),
        ("Little by little fills the measure. (Haba na haba hujaza kibaba.)", "patience wealth"),
        ("Unity is strength, division is weakness.", "friendship"),
    ),
}

QUOTES = tuple(
    Quote(text=text, author=f"{origin} proverb", tags=tuple(tags.split()))
    for origin, proverbs in _PROVERBS.items()
    for text, tags in proverbs
)
