//! Every kind of expression and block sees the variables that it names, wherever they stand in it.

use callboard::command::{CommandSpec, CompiledSpec, HttpSpec};

use crate::fixture::{show, with_argument};

fn argument(template: &str) -> String {
    show(with_argument(template)).unwrap_or_else(|error| panic!("{template}: {error:?}")).arguments.remove(0)
}

/// The message of the only refusal of a body, when it is saved or composed.
fn refusal(template: &str) -> String {
    let built = HttpSpec::builder("https://x.test").body(template).build();
    let refusals =
        built.and_then(|spec| CompiledSpec::compile(CommandSpec::Http(spec))).map(drop).unwrap_err();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    refusals[0].message.clone()
}

/// Kinds of expressions, with `input` in the place that only this kind has.
const EXPRESSIONS: [(&str, &str); 42] = [
    ("input.name", "world"),
    ("input['name']", "world"),
    ("['x', 'y', 'z', 'w'][input.count]", "w"),
    ("input.list[0:1] | join", "a"),
    ("input.list[:] | join", "ab c"),
    ("input.list[0:2] | join('+')", "a+b c"),
    ("input.name[1:3]", "or"),
    ("input['name'][1:]", "orld"),
    ("input.name[1:][1:]", "rld"),
    ("(input.name)[1:]", "orld"),
    ("'abcdef'[input.count:]", "def"),
    ("'abcdef'[:input.count]", "abc"),
    ("'abcdef'[::input.count]", "ad"),
    ("input.name | upper", "WORLD"),
    ("'a-b' | replace('-', input.name)", "aworldb"),
    ("[2, 1] | sort(reverse=input.flag) | join", "21"),
    ("none | default(input.name, true)", "world"),
    ("input.name is defined", "true"),
    ("9 is divisibleby(input.count)", "true"),
    ("9 is divisibleby input.count", "true"),
    ("'x' if input.flag else 'y'", "x"),
    ("input.name if true else 'y'", "world"),
    ("'y' if false else input.name", "world"),
    ("[input.name][0]", "world"),
    ("[1, input.name] | last", "world"),
    ("{'a': input.name}.a", "world"),
    ("{input.name: 1} | tojson", "{\"world\":1}"),
    ("(1, input.name)[1]", "world"),
    ("not input.flag", "false"),
    ("-input.count", "-3"),
    ("1 + input.count", "4"),
    ("2 ** input.count", "8"),
    ("7 // input.count", "2"),
    ("'a' ~ input.name", "aworld"),
    ("'a' ~ input.name[0:1] ~ 'b'", "awb"),
    ("1 < input.count < 5", "true"),
    ("'w' in input.name", "true"),
    ("'w' in input.name[1:]", "false"),
    ("'q' not in input.name", "true"),
    ("true and input.flag", "true"),
    ("range(input.count) | join", "012"),
    ("dict(a=input.name).a", "world"),
];

/// Blocks around an expression `E`.
const AROUND: [(&str, &str); 20] = [
    ("{{ E }}", "E"),
    ("{% set x = E %}{{ x }}", "E"),
    ("{% set x %}{{ E }}{% endset %}{{ x }}", "E"),
    ("{% with x = E %}{{ x }}{% endwith %}", "E"),
    ("{% with %}{{ E }}{% endwith %}", "E"),
    ("{% if true %}{{ E }}{% endif %}", "E"),
    ("{% if false %}{% elif true %}{{ E }}{% endif %}", "E"),
    ("{% if false %}{% else %}{{ E }}{% endif %}", "E"),
    ("{% for x in [E] %}{{ x }}{% endfor %}", "E"),
    ("{% for x in [1] %}{{ E }}{% endfor %}", "E"),
    ("{% for x in [] %}{% else %}{{ E }}{% endfor %}", "E"),
    ("{% for x in [1, 2] if (E) is defined %}{{ x }}{% endfor %}", "12"),
    ("{% for x in [[1], [E]] recursive %}{{ loop(x) if x is sequence else x }}{% endfor %}", "1E"),
    ("{% filter trim %} {{ E }} {% endfilter %}", "E"),
    ("{% macro m() %}{{ E }}{% endmacro %}{{ m() }}", "E"),
    ("{% macro m(x) -%} {{ x }}{{ E }}{%- endmacro %}{{ m(E) }}", "EE"),
    ("{% macro m(x=E) %}{{ x }}{% endmacro %}{{ m() }}", "E"),
    ("{% macro m() %}{% macro n() %}{{ E }}{% endmacro %}{{ n() }}{% endmacro %}{{ m() }}", "E"),
    ("{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}{{ E }}{% endcall %}", "[E]"),
    ("{% macro m(x) %}{{ caller(x) }}{% endmacro %}{% call(y) m(E) %}{{ y }}{{ E }}{% endcall %}", "EE"),
];

#[test]
fn every_expression_sees_its_variables_in_every_block() {
    for (block, around) in AROUND {
        for (expression, expected) in EXPRESSIONS {
            let template = block.replace('E', expression);
            assert_eq!(argument(&template), around.replace('E', expected), "{template}");
        }
    }
}

#[test]
fn what_a_block_is_given_is_seen_too() {
    for (template, expected) in [
        ("{% filter replace('a', input.name) %}ab{% endfilter %}", "worldb"),
        ("{% set x | replace('a', input.name) %}ab{% endset %}{{ x }}", "worldb"),
        ("{% set input = input.name %}{{ input }}", "world"),
        ("{% set input %}{{ input.name }}{% endset %}{{ input }}", "world"),
        ("{% with input = input.user %}{{ input.id }}{% endwith %}", "7"),
        ("{% for input in input.list[1:] %}{{ input }}{% endfor %}", "b c"),
        ("{% if input.flag %}{% set x = 1 %}{% endif %}{{ x }}", "1"),
        ("{% set l = input.list %}{{ l[1:] | join }}", "b c"),
        ("{% set l = input.list %}{% macro m() %}{{ l[1:] | join }}{% endmacro %}{{ m() }}", "b c"),
        ("{% macro m(l) %}{{ l[1:] | join }}{% endmacro %}{{ m(input.list) }}", "b c"),
        (
            "{% macro m() %}{% filter replace('a', input.name) %}ab{% endfilter %}{% endmacro %}{{ m() }}",
            "worldb",
        ),
        ("{{ services.github.settings.deep.list[0:2] | join }} {{ profile.name[0:2] }}", "12 Al"),
    ] {
        assert_eq!(argument(template), expected, "{template}");
    }
}

#[test]
fn a_name_that_no_command_has_is_refused_with_its_place() {
    for template in
        ["{{ other }}", "{{ 'a'[other:] }}", "{% set x = other.y %}", "{% for x in other %}{% endfor %}"]
    {
        assert!(refusal(template).contains("there is no variable `other`"), "{template}");
    }
}

/// The engine counts columns up to 65,535, and panics at an error there.
#[test]
fn a_template_that_is_wrong_far_to_the_right_is_refused() {
    let far = "x".repeat(70_000);
    for (template, told) in [
        ("{#".repeat(35_000), "line 1, column 1: a comment is not closed"),
        (format!("{far}{{# "), "line 1, column 70001: a comment is not closed"),
        (format!("{far}{{{{ 'a }}}}"), "line 1, column 70001: a tag or a text in it is not closed"),
        (format!("{far}{{{{ a"), "line 1, column 70001: a tag or a text in it is not closed"),
        (format!("{far}{{% raw %}}"), "`raw` block is not closed"),
        (format!("{far}{{{{ input.name $ }}}}"), "line 1, column 70015"),
        (format!("{far}{{{{ input.name input }}}}"), "line 1, column 70015"),
        (format!("{{{{ '{far}' ~ $ }}}}"), "line 1, column 70009"),
        (format!("{far}{{% nonsense %}}"), "line 1, column 70004"),
    ] {
        let message = refusal(&template);
        assert!(message.contains(told), "{told}: {message}");
    }
}
