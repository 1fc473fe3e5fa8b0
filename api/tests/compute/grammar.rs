//! Random templates by a grammar, deep and doubling rather than sensible. The same seed gives the
//! same templates.

/// A source of numbers (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const NAMES: [&str; 10] =
    ["input", "input.a", "input.list", "input.map.b", "x", "y", "n.x", "n.y", "loop.index", "job.id"];
const COUNTS: [&str; 9] = ["0", "1", "3", "16", "60", "1000", "99999", "1000000000", "9223372036854775807"];
const TEXTS: [&str; 8] = [
    "''",
    "'x'",
    "'%s'",
    "'%999999999d'",
    "'ä€'",
    "\"{{\"",
    "'\\u0000'",
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
];
const BINARY: [&str; 16] =
    ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "and", "or", "in", "not in"];
const FILTERS: [&str; 34] = [
    "length",
    "list",
    "string",
    "tojson",
    "urlencode",
    "upper",
    "trim",
    "first",
    "last",
    "sort",
    "unique",
    "reverse",
    "sum",
    "join(', ')",
    "join(x)",
    "replace('', 'xxxxxxxx')",
    "replace('x', x)",
    "batch(1)",
    "slice(1000)",
    "batch(1000000000)",
    "slice(1000000000)",
    "groupby('c')",
    "map('string')",
    "map('upper')",
    "map(attribute='c')",
    "select",
    "format(x)",
    "format(1, 2)",
    "indent(1000000000)",
    "pprint",
    "items",
    "dictsort",
    "default(x, true)",
    "zip(x)",
];

/// A template of one or several statements.
pub(crate) fn template(dice: &mut Dice) -> String {
    match dice.below(12) {
        0..4 => growing(dice),
        4 | 5 => deep(dice),
        6 => blocks(dice),
        7 => recursive(dice),
        _ => {
            let statements = 1 + dice.below(6);
            (0..statements).map(|_| statement(dice, 3)).collect()
        }
    }
}

/// Values that nest or double with each round.
fn growing(dice: &mut Dice) -> String {
    let start = dice.pick(&["[1]", "'x'", "'xxxxxxxx'", "{'c': 1}", "range(1000)", "input.list"]);
    let grow = dice.pick(&[
        "[n.x]",
        "n.x + n.x",
        "n.x ~ n.x",
        "[n.x, n.x]",
        "{'c': n.x}",
        "{'c': n.x, 'd': n.x}",
        "n.x * 2",
        "(n.x|string) * 10",
        "n.x|list + n.x|list",
        "n.x|join('xxxx')",
        "n.x|batch(2)|list",
        "n.x|chain(n.x)",
        "n.x|zip(n.x)|list",
        "n.x|map('string')|list",
        "n.x[1:] + n.x",
    ]);
    let rounds = dice.pick(&["20", "60", "1000", "5000", "99999"]);
    let end = dice.pick(&[
        "n.x == n.y",
        "n.x|length",
        "n.x",
        "n.x|tojson",
        "n.x|string|length",
        "n.x in [n.y]",
        "n.x < n.y",
        "n.x|unique|list|length",
        "n.x|sort|length",
        "n.x|pprint",
        "n.x|sum",
        "n.x|groupby('c')|length",
    ]);
    format!(
        "{{% set n=namespace(x={start},y={start}) %}}{{% for i in range({rounds}) %}}{{% set n.x={grow} %}}{}{{% endfor %}}{{{{ {end} }}}}",
        if dice.below(2) == 0 { "{% set n.y=n.x %}" } else { "{% set n.y=[n.y] %}" },
    )
}

/// Deep expressions.
fn deep(dice: &mut Dice) -> String {
    let depth = [10, 30, 100, 400, 4000][dice.below(5)];
    let (open, close) = [
        ("(", ")"),
        ("[", "]"),
        ("{'c': ", "}"),
        ("-", ""),
        ("not ", ""),
        ("", ".c"),
        ("", "[0]"),
        ("", "|list"),
        ("x(", ")"),
        ("1 if ", " else 2"),
        ("1 + ", ""),
        ("2 ** ", ""),
        ("'x' ~ ", ""),
        ("", "()"),
        ("x.y(", ")"),
    ][dice.below(15)];
    format!("{{{{ {}{}{} }}}}", open.repeat(depth), expression(dice, 2), close.repeat(depth))
}

/// Deep blocks.
fn blocks(dice: &mut Dice) -> String {
    let depth = [5, 30, 100, 1000][dice.below(4)];
    let (open, close) = [
        ("{% if x %}", "{% endif %}"),
        ("{% for x in [1,2] %}", "{% endfor %}"),
        ("{% set x %}", "{% endset %}"),
        ("{% with %}", "{% endwith %}"),
        ("{% filter upper %}", "{% endfilter %}"),
        ("{% macro x() %}", "{% endmacro %}"),
        ("{% if x %}{% elif x %}", "{% endif %}"),
        ("{% call x() %}", "{% endcall %}"),
        ("{% for x in range(9) %}", "{% endfor %}"),
    ][dice.below(9)];
    let elifs = "{% elif x == 1 %}y".repeat(if dice.below(4) == 0 { 2000 } else { 0 });
    format!("{{% set x = 1 %}}{}{{% if x %}}{elifs}{{% endif %}}z{}", open.repeat(depth), close.repeat(depth))
}

/// Macros that call themselves.
fn recursive(dice: &mut Dice) -> String {
    let body =
        dice.pick(&["{{ m(a + 1) }}", "{{ m(a) }}{{ m(a) }}", "{{ m([a]) }}", "{{ m(a ~ a) }}", "{{ a }}"]);
    format!("{{% macro m(a) %}}{body}{{% endmacro %}}{{{{ m({}) }}}}", expression(dice, 1))
}

fn statement(dice: &mut Dice, depth: usize) -> String {
    let inner = |dice: &mut Dice| if depth == 0 { "t".to_owned() } else { statement(dice, depth - 1) };
    let value = expression(dice, 3);
    match dice.below(8) {
        0 => format!("{{% set x = {value} %}}"),
        1 => format!("{{% for x in {value} %}}{}{{% endfor %}}", inner(dice)),
        2 => format!("{{% for x in range({}) %}}{}{{% endfor %}}", dice.pick(&COUNTS), inner(dice)),
        3 => format!("{{% if {value} %}}{}{{% else %}}{}{{% endif %}}", inner(dice), inner(dice)),
        4 => format!("{{% filter {} %}}{}{{% endfilter %}}", dice.pick(&FILTERS), inner(dice)),
        5 => format!("{{% set y %}}{}{{% endset %}}", inner(dice)),
        _ => format!("{{{{ {value} }}}}"),
    }
}

fn expression(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 {
        return match dice.below(4) {
            0 => dice.pick(&COUNTS).to_owned(),
            1 => dice.pick(&TEXTS).to_owned(),
            _ => dice.pick(&NAMES).to_owned(),
        };
    }
    let one = expression(dice, depth - 1);
    match dice.below(9) {
        0 | 1 => format!("({one} {} {})", dice.pick(&BINARY), expression(dice, depth - 1)),
        2..4 => format!("{one}|{}", dice.pick(&FILTERS)),
        4 => format!("[{one}, {one}]"),
        5 => format!("range({})|list", dice.pick(&COUNTS)),
        6 => format!("({one})[{}:{}]", dice.pick(&COUNTS), dice.pick(&COUNTS)),
        7 => format!("({one}) * {}", dice.pick(&COUNTS)),
        _ => format!("(-{one} if {one} else {{'c': {one}}})"),
    }
}
