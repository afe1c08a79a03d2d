//! Words for made-up products, people and places, in the scripts that shops meet.

pub(super) const LANGUAGES: [(&str, &str); 3] =
    [("en-gb", "English"), ("de-de", "Deutsch"), ("ja-jp", "日本語")];

pub(super) const MATERIALS: [[&str; 6]; 3] = [
    ["Oak", "Linen", "Copper", "Walnut", "Slate", "Wool"],
    ["Eichen", "Leinen", "Kupfer", "Nussbaum", "Schiefer", "Woll"],
    ["オークの", "リネンの", "銅の", "くるみの", "石の", "ウールの"],
];

pub(super) const THINGS: [[&str; 8]; 3] = [
    ["table", "lamp", "bowl", "blanket", "chair", "basket", "clock", "kettle"],
    ["tisch", "lampe", "schüssel", "decke", "stuhl", "korb", "uhr", "kessel"],
    ["机", "ランプ", "ボウル", "毛布", "椅子", "かご", "時計", "やかん"],
];

pub(super) const SENTENCES: [[&str; 5]; 3] = [
    [
        "Made by hand in a small workshop, one piece at a time.",
        "It's \"simple\", sturdy & easy to repair.",
        "Ships within three days; returns are free for 30 days.",
        "Wipe with a damp cloth – nothing more is needed.",
        "Every piece differs a little from the next.",
    ],
    [
        "In einer kleinen Werkstatt Stück für Stück gefertigt.",
        "Schlicht, robust & leicht zu reparieren.",
        "Versand binnen drei Tagen; Rückgabe 30 Tage kostenlos.",
        "Mit feuchtem Tuch abwischen – mehr braucht es nicht.",
        "Größe und Maserung können abweichen.",
    ],
    [
        "小さな工房で一つずつ手作りしています。",
        "シンプルで丈夫、修理も簡単です。",
        "三日以内に発送します。返品は三十日間無料です。",
        "湿った布で拭くだけです。",
        "一つ一つ少しずつ違います。😀",
    ],
];

pub(super) const FIRST_NAMES: [&str; 8] =
    ["Anna", "Jörg", "Zoë", "太郎", "Søren", "María", "Łukasz", "Fatma"];
pub(super) const LAST_NAMES: [&str; 8] =
    ["Müller", "O'Brien", "Nguyễn", "山田", "Back\\slash", "García", "Smith \"Q\"", "Öztürk"];
pub(super) const CITIES: [&str; 6] = ["Graz", "Zürich", "Kraków", "東京", "São Paulo", "Sheffield"];
