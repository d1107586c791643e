//! The verifier on histories made by hand.

use crate::history::{Action, Content, History, Moment, Object, Operation, Outcome, Tag, Value};
use crate::verify::{Rule, report, verify};

const REGISTER: Object = Object::Register(1);
const LIST: Object = Object::List(1);

/// An operation of scope `scope` from `invoked` to a little later.
fn operation(scope: &str, invoked: u64, action: Action, outcome: Outcome) -> Operation {
    let scope = (!scope.is_empty()).then(|| scope.into());
    let (invoked, completed) = (Moment(invoked), Moment(invoked + 5));
    Operation { client: "client".into(), scope, action, invoked, completed, outcome }
}

fn content(version: u64, tag: Tag) -> Value {
    Value::Register(Content::new(version, tag))
}

fn write(scope: &str, invoked: u64, version: u64, tag: Tag) -> Operation {
    operation(scope, invoked, Action::Write(REGISTER, tag), Outcome::Ok(content(version, tag)))
}

fn read(scope: &str, invoked: u64, version: u64, tag: Tag) -> Operation {
    operation(scope, invoked, Action::Read(REGISTER), Outcome::Ok(content(version, tag)))
}

fn append(scope: &str, invoked: u64, tag: Tag) -> Operation {
    operation(scope, invoked, Action::Write(LIST, tag), Outcome::Ok(Value::List(vec![tag])))
}

fn read_list(scope: &str, invoked: u64, tags: &[Tag]) -> Operation {
    operation(scope, invoked, Action::Read(LIST), Outcome::Ok(Value::List(tags.to_vec())))
}

fn unanswered(invoked: u64, object: Object, tag: Tag) -> Operation {
    operation("a", invoked, Action::Write(object, tag), Outcome::Info("lost".into()))
}

fn failed(invoked: u64, object: Object, tag: Tag) -> Operation {
    operation("a", invoked, Action::Write(object, tag), Outcome::Fail("refused".into()))
}

/// The rules that these operations break, with these last reads.
fn broken(operations: Vec<Operation>, last: Vec<Operation>) -> Vec<Rule> {
    let history = History { operations, last, events: Vec::new() };
    let mut rules: Vec<Rule> = verify(&history).iter().map(|violation| violation.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

#[test]
fn good_histories() {
    for (name, operations, last) in [
        ("nothing", vec![], vec![]),
        ("one's own write", vec![write("a", 0, 1, 7), read("a", 10, 1, 7)], vec![read("", 20, 1, 7)]),
        ("a newer one", vec![write("a", 0, 1, 7), write("b", 1, 2, 8), read("a", 10, 2, 8)], vec![]),
        ("others may see the past", vec![write("a", 0, 1, 7), read("b", 10, 0, 0)], vec![]),
        ("so may nobody in particular", vec![write("a", 0, 1, 7), read("", 10, 0, 0)], vec![]),
        ("at the same time anything goes", vec![write("a", 0, 1, 7), read("a", 3, 0, 0)], vec![]),
        ("also among reads", vec![write("b", 0, 1, 7), read("a", 10, 1, 7), read("a", 12, 0, 0)], vec![]),
        ("a lost answer may have happened", vec![unanswered(0, REGISTER, 7), read("a", 10, 1, 7)], vec![]),
        ("or not", vec![unanswered(0, REGISTER, 7), read("a", 10, 0, 0)], vec![read("", 20, 0, 0)]),
        ("or later", vec![unanswered(0, LIST, 7), read_list("a", 10, &[])], vec![read_list("", 20, &[7])]),
        ("appends", vec![append("a", 0, 7), append("b", 0, 8), read_list("a", 10, &[8, 7])], vec![]),
        ("a failure leaves nothing", vec![failed(0, LIST, 7), read_list("a", 10, &[])], vec![read_list("", 20, &[])]),
    ] {
        assert_eq!(broken(operations, last), [], "{name}");
    }
}

#[test]
fn broken_promises() {
    use Rule::{AppliedTwice, LostWrite, MonotonicReads, ReadYourWrites, ThinAir};
    for (name, operations, last, rule) in [
        ("one's own write unseen", vec![write("a", 0, 1, 7), read("a", 10, 0, 0)], vec![], ReadYourWrites),
        (
            "an older version",
            vec![write("b", 0, 1, 7), write("a", 10, 2, 8), read("a", 20, 1, 7)],
            vec![],
            ReadYourWrites,
        ),
        ("one's own append unseen", vec![append("a", 0, 7), read_list("a", 10, &[])], vec![], ReadYourWrites),
        (
            "only another's append seen",
            vec![append("a", 0, 7), append("b", 0, 8), read_list("a", 10, &[8])],
            vec![],
            ReadYourWrites,
        ),
        ("unseen again", vec![write("b", 0, 1, 7), read("a", 10, 1, 7), read("a", 20, 0, 0)], vec![], MonotonicReads),
        (
            "an append unseen again, even an unanswered one",
            vec![unanswered(0, LIST, 7), read_list("a", 10, &[7]), read_list("a", 20, &[])],
            vec![],
            MonotonicReads,
        ),
        ("a write is gone", vec![write("a", 0, 1, 7)], vec![read("", 20, 0, 0)], LostWrite),
        ("an append is gone", vec![append("a", 0, 7), append("a", 9, 8)], vec![read_list("", 20, &[8])], LostWrite),
        ("a later write does not come after", vec![write("a", 0, 2, 7), write("b", 10, 1, 8)], vec![], LostWrite),
        ("two writes with one version", vec![write("a", 0, 1, 7), write("b", 1, 1, 8)], vec![], LostWrite),
        ("nobody wrote it", vec![read("a", 0, 1, 7)], vec![], ThinAir),
        ("nobody appended it", vec![], vec![read_list("", 0, &[7])], ThinAir),
        ("written elsewhere", vec![append("a", 0, 7), read("b", 10, 1, 7)], vec![], ThinAir),
        ("before it was written", vec![read("a", 0, 1, 7), write("b", 10, 1, 7)], vec![], ThinAir),
        ("what failed", vec![failed(0, REGISTER, 7), read("a", 10, 1, 7)], vec![], ThinAir),
        ("what failed, in a list", vec![failed(0, LIST, 7)], vec![read_list("", 10, &[7])], ThinAir),
        (
            "acknowledged as another's",
            vec![unanswered(0, REGISTER, 8), {
                operation("a", 10, Action::Write(REGISTER, 7), Outcome::Ok(content(1, 8)))
            }],
            vec![],
            ThinAir,
        ),
        ("appended twice", vec![unanswered(0, LIST, 7)], vec![read_list("", 10, &[7, 7])], AppliedTwice),
        (
            "written twice",
            vec![unanswered(0, REGISTER, 7), read("a", 10, 1, 7), read("a", 20, 2, 7)],
            vec![],
            AppliedTwice,
        ),
    ] {
        assert_eq!(broken(operations, last), [rule], "{name}");
    }
}

/// The excerpt is that of the latest promise, and tells what the nemesis did.
#[test]
fn the_excerpt_is_short_and_telling() {
    let operations = vec![
        write("a", 0, 1, 7),
        write("a", 100, 2, 8),
        write("a", 200, 3, 9),
        read("a", 300, 1, 7),
        read("b", 400, 3, 9),
    ];
    let events = vec![(Moment(150), "the applier stops".to_owned()), (Moment(500), "too late".to_owned())];
    let history = History { operations, last: Vec::new(), events };
    let text = report(&history, &verify(&history));
    for part in
        ["1 violations of ReadYourWrites", "write 9 to Register(1)", "version 1 of write 7", "the applier stops"]
    {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    for part in ["write 8 to", "too late", "[scope: b]"] {
        assert!(!text.contains(part), "{part} is too much:\n{text}");
    }
}
