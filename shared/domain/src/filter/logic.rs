//! Filter logic: `1 AND (2 OR 3)`, 1-based condition numbers joined by AND, OR, NOT.
//!
//! Keywords are read in any case. NOT binds tightest. AND and OR may not be mixed at one level
//! without parentheses (as in Salesforce), so neither of them binds tighter than the other. Every
//! condition must be used, and may be used more than once.

use std::collections::BTreeSet;

/// How deeply parentheses and NOTs may nest; far more than ten conditions need.
const DEPTH_LIMIT: usize = 32;

/// How the conditions' answers become one. Numbers here are 0-based.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Logic {
    Condition(usize),
    Not(Box<Logic>),
    All(Vec<Logic>),
    Any(Vec<Logic>),
}

/// What is wrong with a logic string. Positions count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogicFault {
    /// A condition that the logic leaves out.
    #[error(
        "the filter logic does not use condition {number}; add its number or remove the condition"
    )]
    Unused {
        /// 1-based.
        number: usize,
    },
    /// A number without a condition.
    #[error(
        "the filter logic names condition {number} at position {position}, but the filter has {conditions} condition(s), counted from 1"
    )]
    Unknown {
        /// As written.
        number: String,
        /// Where.
        position: usize,
        /// How many there are.
        conditions: usize,
    },
    /// `1 AND 2 OR 3`.
    #[error(
        "the filter logic mixes AND and OR at position {position}; put parentheses around one of them, such as 1 AND (2 OR 3)"
    )]
    Mixed {
        /// Of the second kind of keyword.
        position: usize,
    },
    /// An opening parenthesis without its closing one.
    #[error(
        "the parenthesis opened at position {position} of the filter logic is never closed; add a closing one"
    )]
    NeverClosed {
        /// Of the opening parenthesis.
        position: usize,
    },
    /// A closing parenthesis without its opening one.
    #[error(
        "the filter logic closes a parenthesis at position {position} that was never opened; remove it"
    )]
    NeverOpened {
        /// Of the closing parenthesis.
        position: usize,
    },
    /// Neither number, parenthesis nor keyword.
    #[error(
        "the filter logic has the unknown word `{word}` at position {position}; it may hold condition numbers, AND, OR, NOT and parentheses"
    )]
    UnknownWord {
        /// As written.
        word: String,
        /// Where it starts.
        position: usize,
    },
    /// An operand is missing.
    #[error(
        "the filter logic needs a condition number, NOT or an opening parenthesis at position {position}"
    )]
    OperandExpected {
        /// Where.
        position: usize,
    },
    /// Two operands with nothing between them.
    #[error("the filter logic needs AND or OR at position {position}")]
    OperatorExpected {
        /// Where.
        position: usize,
    },
    /// Nested beyond reason.
    #[error(
        "the filter logic is nested more than {DEPTH_LIMIT} deep at position {position}; simplify it"
    )]
    TooDeep {
        /// Where.
        position: usize,
    },
}

impl Logic {
    /// All conditions must hold: what an absent logic means.
    pub(super) fn all_of(conditions: usize) -> Self {
        Self::All((0..conditions).map(Self::Condition).collect())
    }

    /// Reads a logic string over so many conditions.
    pub(super) fn parse(text: &str, conditions: usize) -> Result<Self, Vec<LogicFault>> {
        let tokens = tokens(text).map_err(|fault| vec![fault])?;
        let end = text.chars().count().saturating_add(1);
        let mut parser = Parser {
            tokens: &tokens,
            next: 0,
            end,
            conditions,
            used: BTreeSet::new(),
        };
        let logic = parser.whole().map_err(|fault| vec![fault])?;
        let unused: Vec<_> = (0..conditions)
            .filter(|index| !parser.used.contains(index))
            .map(|index| LogicFault::Unused { number: index + 1 })
            .collect();
        if unused.is_empty() {
            Ok(logic)
        } else {
            Err(unused)
        }
    }

    /// The answer, given each condition's. What nobody knows (`None`) is not known of its negation
    /// either, and decides nothing where another part decides.
    pub(super) fn truth(&self, answer: &impl Fn(usize) -> Option<bool>) -> Option<bool> {
        match self {
            Self::Condition(index) => answer(*index),
            Self::Not(inner) => inner.truth(answer).map(|truth| !truth),
            Self::All(parts) => decided(parts, false, answer),
            Self::Any(parts) => decided(parts, true, answer),
        }
    }
}

/// `by` where a part is that, the other where all parts are, and otherwise unknown.
fn decided(parts: &[Logic], by: bool, answer: &impl Fn(usize) -> Option<bool>) -> Option<bool> {
    let mut decision = Some(!by);
    for part in parts {
        match part.truth(answer) {
            Some(truth) if truth == by => return Some(by),
            Some(_) => {}
            None => decision = None,
        }
    }
    decision
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word<'text> {
    Number(&'text str),
    And,
    Or,
    Not,
    Open,
    Close,
}

#[derive(Debug, Clone, Copy)]
struct Token<'text> {
    word: Word<'text>,
    position: usize,
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, LogicFault> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut position = 1;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '0'..='9' => run(rest, |c| c.is_ascii_digit()),
            c if c.is_alphanumeric() => run(rest, char::is_alphanumeric),
            c => c.len_utf8(),
        };
        let (taken, after) = rest.split_at(length);
        if !first.is_whitespace() {
            tokens.push(Token {
                word: word(taken, position)?,
                position,
            });
        }
        position += taken.chars().count();
        rest = after;
    }
    Ok(tokens)
}

/// How many bytes at the start of the text belong to the run.
fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn word(taken: &str, position: usize) -> Result<Word<'_>, LogicFault> {
    Ok(match taken {
        "(" => Word::Open,
        ")" => Word::Close,
        digits if digits.starts_with(|c: char| c.is_ascii_digit()) => Word::Number(digits),
        name if name.eq_ignore_ascii_case("and") => Word::And,
        name if name.eq_ignore_ascii_case("or") => Word::Or,
        name if name.eq_ignore_ascii_case("not") => Word::Not,
        other => {
            return Err(LogicFault::UnknownWord {
                word: other.to_owned(),
                position,
            });
        }
    })
}

struct Parser<'tokens, 'text> {
    tokens: &'tokens [Token<'text>],
    next: usize,
    end: usize,
    conditions: usize,
    used: BTreeSet<usize>,
}

impl<'text> Parser<'_, 'text> {
    fn whole(&mut self) -> Result<Logic, LogicFault> {
        let logic = self.chain(0)?;
        match self.peek() {
            None => Ok(logic),
            Some(token) if token.word == Word::Close => Err(LogicFault::NeverOpened {
                position: token.position,
            }),
            Some(token) => Err(LogicFault::OperatorExpected {
                position: token.position,
            }),
        }
    }

    /// `operand`, `operand AND operand ...` or `operand OR operand ...`.
    fn chain(&mut self, depth: usize) -> Result<Logic, LogicFault> {
        let first = self.operand(depth)?;
        let Some(joint) = self
            .peek()
            .map(|token| token.word)
            .filter(|word| matches!(word, Word::And | Word::Or))
        else {
            return Ok(first);
        };
        let mut parts = vec![first];
        while let Some(token) = self
            .peek()
            .filter(|token| matches!(token.word, Word::And | Word::Or))
        {
            if token.word != joint {
                return Err(LogicFault::Mixed {
                    position: token.position,
                });
            }
            self.next += 1;
            parts.push(self.operand(depth)?);
        }
        Ok(if joint == Word::And {
            Logic::All(parts)
        } else {
            Logic::Any(parts)
        })
    }

    fn operand(&mut self, depth: usize) -> Result<Logic, LogicFault> {
        let Some(token) = self.peek() else {
            return Err(LogicFault::OperandExpected { position: self.end });
        };
        let position = token.position;
        if depth > DEPTH_LIMIT {
            return Err(LogicFault::TooDeep { position });
        }
        match token.word {
            Word::Number(digits) => {
                self.next += 1;
                self.condition(digits, position)
            }
            Word::Not => {
                self.next += 1;
                Ok(Logic::Not(Box::new(self.operand(depth + 1)?)))
            }
            Word::Open => {
                self.next += 1;
                let inner = self.chain(depth + 1)?;
                match self.peek() {
                    None => Err(LogicFault::NeverClosed { position }),
                    Some(close) if close.word == Word::Close => {
                        self.next += 1;
                        Ok(inner)
                    }
                    Some(other) => Err(LogicFault::OperatorExpected {
                        position: other.position,
                    }),
                }
            }
            Word::Close if depth == 0 => Err(LogicFault::NeverOpened { position }),
            Word::Close | Word::And | Word::Or => Err(LogicFault::OperandExpected { position }),
        }
    }

    fn condition(&mut self, digits: &str, position: usize) -> Result<Logic, LogicFault> {
        match digits.parse::<usize>() {
            Ok(number) if (1..=self.conditions).contains(&number) => {
                self.used.insert(number - 1);
                Ok(Logic::Condition(number - 1))
            }
            _ => Err(LogicFault::Unknown {
                number: digits.to_owned(),
                position,
                conditions: self.conditions,
            }),
        }
    }

    fn peek(&self) -> Option<Token<'text>> {
        self.tokens.get(self.next).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str, conditions: usize) -> Result<Logic, LogicFault> {
        Logic::parse(text, conditions).map_err(|mut faults| faults.remove(0))
    }

    impl Logic {
        fn holds(&self, answer: &impl Fn(usize) -> bool) -> bool {
            self.truth(&|index| Some(answer(index))).unwrap()
        }
    }

    fn holds(text: &str, answers: &[bool]) -> bool {
        parse(text, answers.len())
            .unwrap()
            .holds(&|index| answers[index])
    }

    #[test]
    fn what_is_unknown_decides_nothing() {
        let truth = |text: &str, answers: [Option<bool>; 2]| {
            parse(text, 2).unwrap().truth(&|index| answers[index])
        };
        let (yes, no, unknown) = (Some(true), Some(false), None);
        for (text, answers, expected) in [
            ("1 AND 2", [unknown, yes], unknown),
            ("1 AND 2", [unknown, no], no),
            ("1 AND 2", [no, unknown], no),
            ("1 OR 2", [unknown, yes], yes),
            ("1 OR 2", [unknown, no], unknown),
            ("NOT 1 OR 2", [unknown, no], unknown),
            ("NOT (1 OR 2)", [unknown, yes], no),
            ("NOT (1 AND 2)", [unknown, no], yes),
        ] {
            assert_eq!(truth(text, answers), expected, "{text} {answers:?}");
        }
    }

    #[test]
    fn truth_tables() {
        for bits in 0..8_u8 {
            let [a, b, c] = [0, 1, 2].map(|bit| bits & (1 << bit) != 0);
            let answers = [a, b, c];
            assert_eq!(holds("1 AND (2 OR 3)", &answers), a && (b || c));
            assert_eq!(holds("(1 and 2) oR 3", &answers), (a && b) || c);
            assert_eq!(holds("NOT 1 AND 2 AND 3", &answers), !a && b && c);
            assert_eq!(holds("not(1 OR 2)AND NOT not 3", &answers), !(a || b) && c);
            assert_eq!(holds("1 OR (2 AND (NOT (3)))", &answers), a || (b && !c));
            assert_eq!(
                holds("(1 OR 2) AND (1 OR 3)", &answers),
                a || (b && c),
                "a condition may be used twice"
            );
            assert_eq!(Logic::all_of(3).holds(&|index| answers[index]), a && b && c);
        }
        assert!(Logic::all_of(0).holds(&|_| false));
    }

    #[test]
    fn faults_name_their_position() {
        assert_eq!(
            parse("1 AND 2 OR 3", 3),
            Err(LogicFault::Mixed { position: 9 })
        );
        assert_eq!(
            parse("1 OR (2 OR 3 AND 1)", 3),
            Err(LogicFault::Mixed { position: 14 })
        );
        assert_eq!(
            parse("(1 AND 2", 2),
            Err(LogicFault::NeverClosed { position: 1 })
        );
        assert_eq!(
            parse("1 AND 2)", 2),
            Err(LogicFault::NeverOpened { position: 8 })
        );
        assert_eq!(parse(")", 1), Err(LogicFault::NeverOpened { position: 1 }));
        assert_eq!(
            parse("()", 1),
            Err(LogicFault::OperandExpected { position: 2 })
        );
        assert_eq!(
            parse("1 AND", 1),
            Err(LogicFault::OperandExpected { position: 6 })
        );
        assert_eq!(
            parse("", 1),
            Err(LogicFault::OperandExpected { position: 1 })
        );
        assert_eq!(
            parse("AND 1", 1),
            Err(LogicFault::OperandExpected { position: 1 })
        );
        assert_eq!(
            parse("1 2", 2),
            Err(LogicFault::OperatorExpected { position: 3 })
        );
        assert_eq!(
            parse("(1 2)", 2),
            Err(LogicFault::OperatorExpected { position: 4 })
        );
        assert_eq!(
            parse("1 NOT 2", 2),
            Err(LogicFault::OperatorExpected { position: 3 })
        );
        assert_eq!(
            parse("1 XOR 2", 2),
            Err(LogicFault::UnknownWord {
                word: "XOR".to_owned(),
                position: 3
            })
        );
        assert_eq!(
            parse("1 && 2", 2),
            Err(LogicFault::UnknownWord {
                word: "&".to_owned(),
                position: 3
            })
        );
        assert_eq!(
            parse("é 1", 1),
            Err(LogicFault::UnknownWord {
                word: "é".to_owned(),
                position: 1
            })
        );
        assert_eq!(
            parse("1 AND 4", 3),
            Err(LogicFault::Unknown {
                number: "4".to_owned(),
                position: 7,
                conditions: 3
            })
        );
        assert_eq!(
            parse("0", 1),
            Err(LogicFault::Unknown {
                number: "0".to_owned(),
                position: 1,
                conditions: 1
            })
        );
        let long = "9".repeat(40);
        assert_eq!(
            parse(&long, 3),
            Err(LogicFault::Unknown {
                number: long.clone(),
                position: 1,
                conditions: 3
            })
        );
        assert_eq!(
            Logic::parse("2", 3),
            Err(vec![
                LogicFault::Unused { number: 1 },
                LogicFault::Unused { number: 3 }
            ])
        );
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(parse(&nested(DEPTH_LIMIT), 1), Ok(Logic::Condition(0)));
        assert_eq!(
            parse(&nested(100_000), 1),
            Err(LogicFault::TooDeep {
                position: DEPTH_LIMIT + 2
            })
        );
        assert!(matches!(
            parse(&"NOT ".repeat(100_000), 1),
            Err(LogicFault::TooDeep { .. })
        ));
    }

    fn tree() -> impl Strategy<Value = Logic> {
        let leaf = (0_usize..5).prop_map(Logic::Condition);
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|part| Logic::Not(Box::new(part))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Logic::All),
                prop::collection::vec(inner, 2..4).prop_map(Logic::Any),
            ]
        })
    }

    fn written(logic: &Logic, lower: bool) -> String {
        let joined = |parts: &[Logic], word: &str| {
            format!(
                "({})",
                parts
                    .iter()
                    .map(|part| written(part, lower))
                    .collect::<Vec<_>>()
                    .join(word)
            )
        };
        match logic {
            Logic::Condition(index) => (index + 1).to_string(),
            Logic::Not(inner) => format!(
                "{} {}",
                if lower { "not" } else { "NOT" },
                written(inner, lower)
            ),
            Logic::All(parts) => joined(parts, if lower { " and " } else { " AND " }),
            Logic::Any(parts) => joined(parts, if lower { " or " } else { "  OR\t" }),
        }
    }

    proptest! {
        #[test]
        fn a_written_tree_is_read_back(tree in tree(), lower: bool) {
            let text = format!("{} AND 1 AND 2 AND 3 AND 4 AND 5", written(&tree, lower));
            let mut parts = vec![tree];
            parts.extend((0..5).map(Logic::Condition));
            prop_assert_eq!(Logic::parse(&text, 5), Ok(Logic::All(parts)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([()0-9 ]|AND|or|not|.){0,30}", conditions in 0_usize..11) {
            if let Ok(logic) = Logic::parse(&text, conditions) {
                let _answer = logic.holds(&|index| { assert!(index < conditions); index % 2 == 0 });
            }
        }
    }
}
