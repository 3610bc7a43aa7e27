//! What `expected.json` says: every case of the suite, and the verdict that each has to get.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cases::{CaseId, Pattern};
use crate::report::Outcome;

const FILE: &str = include_str!("../expected.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    core: Vec<Pattern>,
    compression: Vec<Pattern>,
    sample: Vec<Pattern>,
    exceptions: Vec<Exception>,
    must_fail: BTreeMap<u16, Vec<Pattern>>,
}

#[derive(Deserialize)]
struct Exception {
    cases: Vec<Pattern>,
    #[serde(flatten)]
    outcome: Outcome,
}

/// The cases of the suite and their expected verdicts.
pub(crate) struct Expected {
    core: Vec<CaseId>,
    compression: Vec<CaseId>,
    sample: Vec<Pattern>,
    all: Vec<CaseId>,
    exceptions: Vec<Exception>,
    must_fail: BTreeMap<CaseId, u16>,
}

impl Expected {
    /// The checked-in file.
    pub(crate) fn load() -> Result<Self, String> {
        Self::parse(FILE).map_err(|why| format!("expected.json: {why}"))
    }

    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let core = listed(&file.core)?;
        let compression = listed(&file.compression)?;
        let all = [&core[..], &compression].concat();
        let mut must_fail = BTreeMap::new();
        for (code, patterns) in &file.must_fail {
            must_fail.extend(listed(patterns)?.into_iter().map(|case| (case, *code)));
        }
        Ok(Self { core, compression, sample: file.sample, all, exceptions: file.exceptions, must_fail })
    }

    /// Sections 1 to 10, in the suite's order.
    pub(crate) fn core(&self) -> &[CaseId] {
        &self.core
    }

    /// Whether the client is to offer compression in this case: sections 12 and 13.
    pub(crate) fn is_compressed(&self, case: &CaseId) -> bool {
        self.compression.contains(case)
    }

    /// Whether the case is one of the sample of sections 12 and 13, which takes less than two minutes.
    pub(crate) fn is_sample(&self, case: &CaseId) -> bool {
        self.sample.iter().any(|pattern| pattern.matches(case))
    }

    /// Every case of the suite, in its order.
    pub(crate) fn all(&self) -> &[CaseId] {
        &self.all
    }

    pub(crate) fn outcome(&self, case: &CaseId) -> Outcome {
        let exception = self.exceptions.iter().find(|e| e.cases.iter().any(|pattern| pattern.matches(case)));
        exception.map_or_else(Outcome::ok, |exception| exception.outcome.clone())
    }

    /// The code of the close frame by which the client must fail the connection in this case, if it must.
    pub(crate) fn close_code(&self, case: &CaseId) -> Option<u16> {
        self.must_fail.get(case).copied()
    }
}

fn listed(patterns: &[Pattern]) -> Result<Vec<CaseId>, String> {
    let ids: Option<Vec<_>> = patterns.iter().map(Pattern::ids).collect();
    ids.map(|ids| ids.concat()).ok_or_else(|| "a star cannot stand in a list of all cases".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(id: &str) -> CaseId {
        id.parse().unwrap()
    }

    #[test]
    fn the_file_knows_every_case_of_the_suite_once_and_in_order() {
        let expected = Expected::load().unwrap();
        assert_eq!((expected.core().len(), expected.all().len()), (301, 517));
        assert!(expected.all().windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn the_file_knows_the_105_cases_in_which_the_client_must_fail_the_connection() {
        let expected = Expected::load().unwrap();
        let with =
            |code| expected.core().iter().filter(|case| expected.close_code(case) == Some(code)).count();
        assert_eq!((with(1002), with(1007), expected.must_fail.len()), (30, 75, 105));
    }

    #[test]
    fn a_case_is_ok_unless_the_file_excepts_it() {
        let expected = Expected::load().unwrap();
        let behavior = |id| expected.outcome(&case(id)).behavior;
        assert_eq!(behavior("6.4.3"), "OK");
        assert_eq!(behavior("7.1.5"), "OK");
        assert_eq!(behavior("7.1.6"), "INFORMATIONAL");
        assert_eq!(behavior("7.13.2"), "INFORMATIONAL");
        assert_eq!(behavior("13.7.18"), "OK");
    }

    #[test]
    fn the_sample_has_every_kind_of_compression() {
        let expected = Expected::load().unwrap();
        let sample: Vec<_> = expected.all().iter().filter(|case| expected.is_sample(case)).collect();
        assert!(sample.iter().all(|case| expected.is_compressed(case)));
        for kind in ["12.1.*", "12.2.*", "12.3.*", "12.4.*", "12.5.*"]
            .into_iter()
            .chain(["13.1.*", "13.2.*", "13.3.*", "13.4.*", "13.5.*", "13.6.*", "13.7.*"])
        {
            let kind: Pattern = kind.parse().unwrap();
            assert!(sample.iter().any(|case| kind.matches(case)), "{kind}");
        }
        assert!(!expected.is_compressed(&case("1.1.1")));
    }

    #[test]
    fn a_star_in_the_list_of_cases_is_refused() {
        let json = r#"{"core": ["1.*"], "compression": [], "sample": [], "exceptions": [], "must_fail": {}}"#;
        assert!(Expected::parse(json).is_err());
    }
}
