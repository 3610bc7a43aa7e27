//! The suite's report: `index.json` and a JSON file for each case.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cases::CaseId;

/// The suite's words about a case: how the client behaved, and how it closed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub(crate) behavior: String,
    pub(crate) behavior_close: String,
}

impl Outcome {
    pub(crate) fn ok() -> Self {
        Self { behavior: "OK".to_owned(), behavior_close: "OK".to_owned() }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, closing {}", self.behavior, self.behavior_close)
    }
}

/// What the runner reads of a case.
#[derive(Debug)]
pub(crate) struct CaseReport {
    pub(crate) outcome: Outcome,
    pub(crate) detail: Detail,
}

/// What the file of the case tells. It must not flatten another type into itself: that reads the fields in
/// between too, and the wire log holds text that is no Unicode.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Detail {
    /// Why `behavior` is what it is.
    pub(crate) result: String,
    /// Why `behavior_close` is what it is.
    pub(crate) result_close: String,
    /// The server began the closing handshake: the client's close frame, if any, is an answer.
    pub(crate) closed_by_me: bool,
    /// The code of the client's close frame; none without a frame, or in a frame without a code.
    pub(crate) remote_close_code: Option<u16>,
}

#[derive(Deserialize)]
struct IndexEntry {
    #[serde(flatten)]
    outcome: Outcome,
    reportfile: String,
}

/// Agents, their cases, and where the report of each lies.
type Index = BTreeMap<String, BTreeMap<CaseId, IndexEntry>>;

/// The reports of all the cases in which `agent` took part.
pub(crate) fn read(directory: &Path, agent: &str) -> io::Result<BTreeMap<CaseId, CaseReport>> {
    let mut index: Index = parse(&directory.join("index.json"))?;
    let cases = index.remove(agent).unwrap_or_default();
    cases
        .into_iter()
        .map(|(case, IndexEntry { outcome, reportfile })| {
            let detail = parse(&directory.join(reportfile))?;
            Ok((case, CaseReport { outcome, detail }))
        })
        .collect()
}

fn parse<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    serde_json::from_slice(&fs::read(path).map_err(named)?).map_err(|error| named(error.into()))
}

/// Copies the report, a flat directory, into one that exists.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    const INDEX: &str = r#"{
        "ours": { "2.10": { "behavior": "NON-STRICT", "behaviorClose": "OK", "duration": 3, "remoteCloseCode": 1000,
                            "reportfile": "ours_case_2_10.json" } },
        "theirs": { "1.1.1": { "behavior": "OK", "behaviorClose": "OK", "reportfile": "gone.json" } }
    }"#;

    /// The wire log quotes half a surrogate pair, as the suite does after it sent bad UTF-8.
    const CASE: &str = r#"{ "agent": "ours", "id": "2.10", "behavior": "NON-STRICT", "behaviorClose": "OK",
        "wirelog": [["TF", [20, "\ud800edited"]]], "result": "so", "resultClose": "and so",
        "closedByMe": true, "remoteCloseCode": null }"#;

    fn report_with(case: &str) -> Scratch {
        let scratch = Scratch::new().unwrap();
        fs::write(scratch.path().join("index.json"), INDEX).unwrap();
        fs::write(scratch.path().join("ours_case_2_10.json"), case).unwrap();
        scratch
    }

    #[test]
    fn the_cases_of_one_agent_are_read_from_their_own_files() {
        let scratch = report_with(CASE);
        let reports = read(scratch.path(), "ours").unwrap();
        assert_eq!(reports.len(), 1);
        let report = &reports[&"2.10".parse().unwrap()];
        assert_eq!(report.outcome.to_string(), "NON-STRICT, closing OK");
        let Detail { result, result_close, closed_by_me, remote_close_code } = &report.detail;
        assert_eq!((&result[..], &result_close[..]), ("so", "and so"));
        assert_eq!((closed_by_me, remote_close_code), (&true, &None));
    }

    #[test]
    fn an_agent_that_is_not_there_has_no_cases() {
        assert!(read(report_with(CASE).path(), "nobody").unwrap().is_empty());
    }

    #[test]
    fn a_file_that_is_missing_or_broken_is_named() {
        let missing = read(report_with(CASE).path(), "theirs").unwrap_err().to_string();
        assert!(missing.contains("gone.json"), "{missing}");
        let broken = read(report_with("{").path(), "ours").unwrap_err().to_string();
        assert!(broken.contains("ours_case_2_10.json"), "{broken}");
    }

    #[test]
    fn a_kept_report_is_a_copy_of_every_file() {
        let (report, kept) = (report_with(CASE), Scratch::new().unwrap());
        copy(report.path(), kept.path()).unwrap();
        assert_eq!(read(kept.path(), "ours").unwrap().len(), 1);
    }
}
