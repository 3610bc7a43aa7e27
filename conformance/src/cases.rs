//! Case ids such as `6.4.3`, and the patterns that name many of them at once.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// The number of a case; ordered as the suite runs them (`2.9` before `2.10`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct CaseId(Vec<u16>);

impl FromStr for CaseId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split('.').map(str::parse).collect::<Result<_, _>>();
        numbers.map(Self).map_err(|_| format!("'{text}' is no case id"))
    }
}

impl TryFrom<String> for CaseId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            write!(f, "{}{number}", if index == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

/// `7.1.6`, `7.1.1-6`, `7.*` or `*`: a star at the end stands for any number of parts, elsewhere for one.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Any,
    Within(u16, u16),
}

impl Part {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some(Self::Within(first.parse().ok()?, last.parse().ok()?))
    }

    fn matches(self, number: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Within(first, last) => (first..=last).contains(&number),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split('.').map(Part::parse).collect::<Option<_>>();
        parts.map(Self).ok_or_else(|| {
            format!("'{text}' is no case pattern; '7.1.6', '7.1.1-6', '7.*' and '*' are such patterns")
        })
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "." })?;
            match part {
                Part::Any => f.write_str("*")?,
                Part::Within(first, last) if first == last => write!(f, "{first}")?,
                Part::Within(first, last) => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl Pattern {
    pub(crate) fn matches(&self, case: &CaseId) -> bool {
        let open_ended = self.0.last() == Some(&Part::Any) && case.0.len() > self.0.len();
        (case.0.len() == self.0.len() || open_ended)
            && self.0.iter().zip(&case.0).all(|(part, &number)| part.matches(number))
    }

    /// Every id that the pattern stands for, or nothing if a star leaves that open.
    pub(crate) fn ids(&self) -> Option<Vec<CaseId>> {
        self.0.iter().try_fold(vec![CaseId(Vec::new())], |ids, part| match *part {
            Part::Any => None,
            Part::Within(first, last) => {
                let extended = |id: &CaseId, number| CaseId([&id.0[..], &[number]].concat());
                Some(ids.iter().flat_map(|id| (first..=last).map(|n| extended(id, n))).collect())
            }
        })
    }
}

/// The `known` cases that at least one of the patterns names. A pattern that names none is refused.
pub(crate) fn select(patterns: &[Pattern], known: &[CaseId]) -> Result<Vec<CaseId>, String> {
    if let Some(idle) = patterns.iter().find(|pattern| !known.iter().any(|case| pattern.matches(case))) {
        return Err(format!("no case matches '{idle}'"));
    }
    Ok(known.iter().filter(|case| patterns.iter().any(|p| p.matches(case))).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<CaseId> {
        text.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }

    fn patterns(text: &str) -> Vec<Pattern> {
        text.split_whitespace().map(|pattern| pattern.parse().unwrap()).collect()
    }

    fn chosen(by: &str, from: &str) -> String {
        let chosen = select(&patterns(by), &ids(from)).unwrap();
        chosen.iter().map(CaseId::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ids_are_ordered_by_number() {
        let mut cases = ids("10.1.1 2.10 2.9 1.1.1");
        cases.sort();
        assert_eq!(cases, ids("1.1.1 2.9 2.10 10.1.1"));
    }

    #[test]
    fn a_star_at_the_end_stands_for_any_number_of_parts() {
        let known = "1.1.1 1.2.8 2.1 2.11 10.1.1";
        assert_eq!(chosen("1.*", known), "1.1.1 1.2.8");
        assert_eq!(chosen("2.*", known), "2.1 2.11");
        assert_eq!(chosen("*", known), known);
    }

    #[test]
    fn a_star_in_the_middle_stands_for_one_part() {
        assert_eq!(chosen("7.*.1", "7.1.1 7.1.2 7.13.1 8.1.1"), "7.1.1 7.13.1");
    }

    #[test]
    fn an_id_stands_for_itself_and_not_for_longer_ones() {
        assert_eq!(chosen("7.1.1", "7.1 7.1.1 7.1.10 7.1.1.1"), "7.1.1");
    }

    #[test]
    fn a_range_has_both_its_ends() {
        assert_eq!(chosen("5.9-11", "5.8 5.9 5.10 5.11 5.12"), "5.9 5.10 5.11");
    }

    #[test]
    fn a_case_that_two_patterns_name_is_chosen_once_and_in_order() {
        assert_eq!(chosen("2.* 1.* 2.1", "1.1.1 2.1 2.2"), "1.1.1 2.1 2.2");
    }

    #[test]
    fn a_pattern_without_a_case_is_refused_by_name() {
        assert_eq!(select(&patterns("1.* 8.*"), &ids("1.1.1")), Err("no case matches '8.*'".to_owned()));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "7.", "7.1*", "a.b", "-1", "1-", "7,1", "70000.1"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_lists_its_ids_unless_a_star_leaves_them_open() {
        assert_eq!(patterns("6.4.1-3")[0].ids(), Some(ids("6.4.1 6.4.2 6.4.3")));
        assert_eq!(patterns("6.1-2.5")[0].ids(), Some(ids("6.1.5 6.2.5")));
        assert_eq!(patterns("6.*")[0].ids(), None);
    }
}
