//! Counts the suite's verdicts and holds them against the expected ones.

use std::collections::BTreeMap;
use std::fmt;

use crate::cases::CaseId;
use crate::expected::Expected;
use crate::report::{CaseReport, Detail};

/// Errors of the client itself, by case.
pub(crate) type ClientErrors = BTreeMap<CaseId, String>;

/// The outcome of a run. Displays as the differences, then the counts, which are its last two lines.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    cases: usize,
    ok: usize,
    non_strict: usize,
    informational: usize,
    unimplemented: usize,
    failed: usize,
    bad_close: usize,
    must_fail: usize,
    exact_code: usize,
    differences: Vec<String>,
}

impl Verdict {
    /// Judges the `cases` that were run. A case without a report counts as failed and badly closed.
    pub(crate) fn new(
        cases: &[CaseId],
        expected: &Expected,
        reports: &BTreeMap<CaseId, CaseReport>,
        errors: &ClientErrors,
    ) -> Self {
        let mut verdict = Self { cases: cases.len(), ..Self::default() };
        for case in cases {
            let report = reports.get(case);
            verdict.count(report);
            let mut faults = Vec::new();
            if report.is_none_or(|report| report.outcome != expected.outcome(case)) {
                faults.push(unexpected(report, expected, case));
            }
            if let Some(code) = expected.close_code(case) {
                verdict.must_fail += 1;
                match close_fault(report, code) {
                    None => verdict.exact_code += 1,
                    Some(fault) => faults.push(fault),
                }
            }
            faults.extend(errors.get(case).map(|error| format!("the client said: {error}")));
            verdict.differences.extend(faults.into_iter().map(|fault| format!("{case}: {fault}")));
        }
        verdict
    }

    pub(crate) fn is_as_expected(&self) -> bool {
        self.differences.is_empty()
    }

    fn count(&mut self, report: Option<&CaseReport>) {
        let (behavior, close) = report
            .map_or(("", ""), |report| (&report.outcome.behavior[..], &report.outcome.behavior_close[..]));
        *match behavior {
            "OK" => &mut self.ok,
            "NON-STRICT" => &mut self.non_strict,
            "INFORMATIONAL" => &mut self.informational,
            "UNIMPLEMENTED" => &mut self.unimplemented,
            _ => &mut self.failed,
        } += 1;
        if !matches!(close, "OK" | "INFORMATIONAL") {
            self.bad_close += 1;
        }
    }
}

fn unexpected(report: Option<&CaseReport>, expected: &Expected, case: &CaseId) -> String {
    let wanted = expected.outcome(case);
    match report {
        None => format!("the suite has no report of it; expected {wanted}"),
        Some(CaseReport { outcome, detail }) => {
            format!("{outcome}; expected {wanted} ({} {})", detail.result, detail.result_close)
        }
    }
}

/// Why the client did not fail the connection by a close frame of its own with this code. The suite itself is
/// content with a bare drop of the TCP connection.
fn close_fault(report: Option<&CaseReport>, code: u16) -> Option<String> {
    let seen = match report.map(|report| &report.detail) {
        None => "nothing is known".to_owned(),
        Some(Detail { closed_by_me: true, .. }) => "the server closed first".to_owned(),
        Some(Detail { remote_close_code: Some(sent), .. }) if *sent == code => return None,
        Some(Detail { remote_close_code: Some(other), .. }) => format!("it sent {other}"),
        Some(_) => "it sent none".to_owned(),
    };
    Some(format!("the client must fail the connection with close code {code}; {seen}"))
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        writeln!(f, "must_fail={} exact_code={}", self.must_fail, self.exact_code)?;
        write!(
            f,
            "autobahn: cases={} ok={} non_strict={} informational={} unimplemented={} failed={} bad_close={}",
            self.cases,
            self.ok,
            self.non_strict,
            self.informational,
            self.unimplemented,
            self.failed,
            self.bad_close
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Outcome;

    const EXPECTED: &str = r#"{
        "core": ["1.1.1-2", "6.4.1-2", "7.1.6"],
        "compression": ["12.1.1"],
        "sample": [],
        "exceptions": [
            { "cases": ["7.1.6"], "behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL" },
            { "cases": ["12.*"], "behavior": "UNIMPLEMENTED", "behaviorClose": "OK" }
        ],
        "must_fail": { "1007": ["6.4.1-2"] }
    }"#;

    /// A report of a case in which the client closed of its own accord, or not at all.
    fn report(behavior: &str, close: &str, code: Option<u16>) -> CaseReport {
        CaseReport {
            outcome: Outcome { behavior: behavior.to_owned(), behavior_close: close.to_owned() },
            detail: Detail {
                result: "Why.".to_owned(),
                result_close: "How.".to_owned(),
                closed_by_me: false,
                remote_close_code: code,
            },
        }
    }

    /// Reports of every case, all as expected.
    fn reports() -> BTreeMap<CaseId, CaseReport> {
        [
            ("1.1.1", report("OK", "OK", Some(1000))),
            ("1.1.2", report("OK", "OK", Some(1000))),
            ("6.4.1", report("OK", "OK", Some(1007))),
            ("6.4.2", report("OK", "OK", Some(1007))),
            ("7.1.6", report("INFORMATIONAL", "INFORMATIONAL", None)),
            ("12.1.1", report("UNIMPLEMENTED", "OK", Some(1000))),
        ]
        .map(|(id, report)| (id.parse().unwrap(), report))
        .into()
    }

    fn judged(reports: &BTreeMap<CaseId, CaseReport>) -> Verdict {
        let expected = Expected::parse(EXPECTED).unwrap();
        Verdict::new(expected.all(), &expected, reports, &ClientErrors::new())
    }

    fn judged_with(id: &str, report: CaseReport) -> Verdict {
        let mut reports = reports();
        reports.insert(id.parse().unwrap(), report);
        judged(&reports)
    }

    fn lines(verdict: &Verdict) -> Vec<String> {
        verdict.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_run_as_expected_prints_nothing_but_the_counts() {
        let verdict = judged(&reports());
        assert!(verdict.is_as_expected());
        assert_eq!(
            lines(&verdict),
            [
                "must_fail=2 exact_code=2",
                "autobahn: cases=6 ok=4 non_strict=0 informational=1 unimplemented=1 failed=0 bad_close=0"
            ]
        );
    }

    #[test]
    fn another_behaviour_is_a_difference_with_its_reasons() {
        let verdict = judged_with("1.1.2", report("NON-STRICT", "OK", Some(1000)));
        assert!(!verdict.is_as_expected());
        assert_eq!(lines(&verdict)[0], "1.1.2: NON-STRICT, closing OK; expected OK, closing OK (Why. How.)");
        assert!(lines(&verdict)[2].contains("ok=3 non_strict=1 "));
    }

    #[test]
    fn another_way_of_closing_is_a_difference_too() {
        let verdict = judged_with("1.1.2", report("OK", "UNCLEAN", None));
        assert!(!verdict.is_as_expected());
        assert!(
            lines(&verdict)[2]
                .ends_with("ok=4 non_strict=0 informational=1 unimplemented=1 failed=0 bad_close=1")
        );
    }

    #[test]
    fn better_than_expected_is_a_difference_too() {
        assert!(!judged_with("12.1.1", report("OK", "OK", Some(1000))).is_as_expected());
    }

    #[test]
    fn an_unknown_behaviour_counts_as_failed() {
        let verdict = judged_with("1.1.1", report("SURPRISING", "OK", None));
        assert!(lines(&verdict)[2].contains("failed=1 bad_close=0"));
    }

    #[test]
    fn a_case_without_a_report_counts_as_failed() {
        let mut reports = reports();
        reports.remove(&"6.4.1".parse().unwrap());
        let verdict = judged(&reports);
        assert!(lines(&verdict)[0].starts_with("6.4.1: the suite has no report"));
        assert_eq!(
            lines(&verdict)[2..],
            [
                "must_fail=2 exact_code=1",
                "autobahn: cases=6 ok=3 non_strict=0 informational=1 unimplemented=1 failed=1 bad_close=1"
            ]
        );
    }

    #[test]
    fn a_bare_drop_passes_the_suite_but_not_the_exact_code() {
        let verdict = judged_with("6.4.1", report("OK", "OK", None));
        assert!(!verdict.is_as_expected());
        assert!(lines(&verdict)[0].ends_with("close code 1007; it sent none"));
        assert_eq!(lines(&verdict)[1], "must_fail=2 exact_code=1");
    }

    #[test]
    fn another_code_is_not_exact() {
        let verdict = judged_with("6.4.1", report("OK", "OK", Some(1002)));
        assert!(lines(&verdict)[0].ends_with("close code 1007; it sent 1002"));
    }

    #[test]
    fn the_right_code_in_answer_to_the_servers_close_is_not_exact() {
        let mut answer = report("OK", "OK", Some(1007));
        answer.detail.closed_by_me = true;
        let verdict = judged_with("6.4.1", answer);
        assert!(lines(&verdict)[0].ends_with("close code 1007; the server closed first"));
    }

    #[test]
    fn an_error_of_the_client_is_a_difference() {
        let expected = Expected::parse(EXPECTED).unwrap();
        let errors = [("1.1.1".parse().unwrap(), "refused".to_owned())].into();
        let verdict = Verdict::new(expected.core(), &expected, &reports(), &errors);
        assert_eq!(lines(&verdict)[0], "1.1.1: the client said: refused");
        assert!(!verdict.is_as_expected());
    }

    #[test]
    fn only_the_chosen_cases_are_counted() {
        let expected = Expected::parse(EXPECTED).unwrap();
        let chosen = ["1.1.1".parse().unwrap(), "6.4.2".parse().unwrap()];
        let verdict = Verdict::new(&chosen, &expected, &reports(), &ClientErrors::new());
        assert_eq!(lines(&verdict)[0], "must_fail=1 exact_code=1");
        assert!(lines(&verdict)[1].starts_with("autobahn: cases=2 ok=2 "));
    }
}
