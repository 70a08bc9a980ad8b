use proptest::prelude::*;

use super::*;

/// Lines of `[args, max_levels, saferepr(args, 1024, max_levels)]` as Celery computed them.
const CAPTURED: &str = include_str!("../../../tests/data/saferepr.jsonl");

/// NaN and infinities, which strict JSON cannot say and Python's writes bare.
fn parse(line: &str) -> Value {
    let quoted = line
        .replace("-Infinity", "\"-inf\"")
        .replace("Infinity", "\"inf\"")
        .replace("NaN", "\"nan\"");
    Value::from_json_text(&quoted).unwrap()
}

fn unquote(value: &mut Value) {
    match value {
        Value::Str(text) if text == "nan" => *value = Value::Float(f64::NAN),
        Value::Str(text) if text == "inf" => *value = Value::Float(f64::INFINITY),
        Value::Str(text) if text == "-inf" => *value = Value::Float(f64::NEG_INFINITY),
        Value::List(items) => items.iter_mut().for_each(unquote),
        _ => {}
    }
}

#[test]
fn is_what_celery_wrote() {
    for line in CAPTURED.lines() {
        let Value::List(mut case) = parse(line) else {
            panic!("{line}");
        };
        unquote(&mut case[0]);
        let (Value::List(args), Value::Int(levels), Value::Str(expected)) =
            (&case[0], &case[1], &case[2])
        else {
            panic!("{line}");
        };
        let levels = usize::try_from(*levels).unwrap();
        assert_eq!(&args_repr(args, levels, BUDGET), expected, "{line}");
    }
}

#[test]
fn kwargs_are_a_dict_even_when_empty() {
    assert_eq!(kwargs_repr(&[], 3, BUDGET), "{}");
    let kwargs = [("it's".to_owned(), Value::Null)];
    assert_eq!(kwargs_repr(&kwargs, 3, BUDGET), "{'it\\'s': None}");
}

/// No backslashes: Celery does not escape them, so that text with one before a quote has no
/// unique reading; the captured cases have them.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        "[ab 'é☃]{0,12}".prop_map(Value::Str),
        "[ab 'é☃]{0,600}".prop_map(Value::Str),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::vec(("[k ']{0,30}", inner), 0..8).prop_map(Value::Dict),
        ]
    })
}

/// Brackets outside quotes, innermost open last; `None` when one closes what is not open.
fn open_brackets(text: &str) -> Option<Vec<char>> {
    let mut open = Vec::new();
    let mut quoted = false;
    let mut previous = ' ';
    for ch in text.chars() {
        match ch {
            '\'' if previous != '\\' || !quoted => quoted = !quoted,
            '[' | '{' if !quoted => open.push(ch),
            ']' if !quoted => (open.pop()? == '[').then_some(())?,
            '}' if !quoted => (open.pop()? == '{').then_some(())?,
            _ => {}
        }
        previous = ch;
    }
    Some(open)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Everything that was opened is closed, however short the budget.
    #[test]
    fn brackets_balance(args in prop::collection::vec(values(), 1..8), budget in 1_usize..200) {
        let mut writer = Writer::new(budget, 3);
        writer.list(&args, 0);
        prop_assert_eq!(open_brackets(&writer.out), Some(Vec::new()), "{}", writer.out);
    }

    /// Within the budget nothing is cut, and levels alone decide.
    #[test]
    fn a_short_repr_is_whole(args in prop::collection::vec(values(), 1..8)) {
        let mut whole = Writer::new(usize::MAX, 3);
        whole.list(&args, 0);
        if whole.out.chars().count() < BUDGET {
            prop_assert_eq!(args_repr(&args, 3, BUDGET), whole.out);
        } else {
            // Cut, by the rules: never longer than the budget, one ellipsis, and brackets.
            let mut longest = BUDGET + 8;
            longest += whole.out.matches(['\'', '\\']).count();
            longest += whole.out.matches([']', '}']).count();
            prop_assert!(args_repr(&args, 3, BUDGET).chars().count() <= longest);
        }
    }

    /// Nothing below the third level is shown.
    #[test]
    fn depth_is_bounded(args in prop::collection::vec(values(), 1..8), levels in 1_usize..5) {
        let shown = args_repr(&args, levels, BUDGET);
        let mut depth = 0;
        let mut deepest = 0;
        let mut quoted = false;
        let mut previous = ' ';
        for ch in shown.replace("[...]", "").replace("{...}", "").chars() {
            match ch {
                '\'' if previous != '\\' || !quoted => quoted = !quoted,
                '[' | '{' if !quoted => { depth += 1; deepest = deepest.max(depth); }
                ']' | '}' if !quoted => depth -= 1,
                _ => {}
            }
            previous = ch;
        }
        prop_assert!(deepest <= levels, "{shown}");
    }
}
