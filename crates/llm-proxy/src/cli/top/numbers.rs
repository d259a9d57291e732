//! The numbers of a `/metrics` page, and what they did between two of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How far back the numbers go that are not of the moment.
const WINDOW: Duration = Duration::from_mins(1);
/// How far back those go that are.
const MOMENT: Duration = Duration::from_secs(10);
/// More pages than this are not kept, however often somebody looks.
const MOST: usize = 128;

/// A sample: its name, its labels, its value.
type Sample = (String, Vec<(String, String)>, f64);

/// A page as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    samples: Vec<Sample>,
}

impl Page {
    /// Reads a page; lines that are none of a sample are passed over.
    pub(super) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self {
            samples: lines.filter_map(sample).collect(),
        }
    }

    /// The sum of a metric over the samples that have all of these labels.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.of(name, labels).map(|(.., value)| value).sum()
    }

    fn of<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Sample> {
        let fits = |own: &[(String, String)]| {
            let has = |(key, value): &(&str, &str)| own.iter().any(|(k, v)| k == key && v == value);
            labels.iter().all(has)
        };
        self.samples
            .iter()
            .filter(move |(own, of, _)| own == name && fits(of))
    }

    /// The edges of a histogram's buckets with what is below each, over all of its series with these labels.
    fn buckets(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let mut all: Vec<(f64, f64)> = Vec::new();
        for (_, own, count) in self.of(name, labels) {
            let edge = own.iter().find(|(key, _)| key == "le");
            let Some(edge) = edge.and_then(|(_, edge)| edge.replace("+Inf", "inf").parse().ok()) else {
                continue;
            };
            match all
                .iter_mut()
                .find(|(known, _)| f64::total_cmp(known, &edge).is_eq())
            {
                Some((_, below)) => *below += count,
                None => all.push((edge, *count)),
            }
        }
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all
    }
}

/// `name{key="value",...} number`, as Prometheus spells it.
fn sample(line: &str) -> Option<Sample> {
    let (rest, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = rest.split_once('{') else {
        return Some((rest.to_owned(), Vec::new(), value));
    };
    Some((name.to_owned(), pairs(labels.strip_suffix('}')?), value))
}

fn pairs(mut text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    while let Some((key, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next() {
                Some((_, '\\')) => value.extend(chars.next().map(|(_, c)| if c == 'n' { '\n' } else { c })),
                Some((at, '"')) => break at + 1,
                Some((_, c)) => value.push(c),
                None => break rest.len(),
            }
        };
        pairs.push((key.trim_start_matches(',').to_owned(), value));
        text = rest.get(end..).unwrap_or_default();
    }
    pairs
}

/// The pages of the last minute.
#[derive(Debug, Default)]
pub(super) struct History {
    pages: VecDeque<(Instant, Page)>,
}

impl History {
    /// Keeps a page. Where its numbers are smaller than those before, the program is another: they are forgotten.
    pub(super) fn keep(&mut self, at: Instant, page: Page) {
        let started = |page: &Page| page.sum("llm_proxy_start_time_seconds", &[]);
        let same = |(_, last): &(Instant, Page)| f64::total_cmp(&started(last), &started(&page)).is_eq();
        if !self.pages.back().is_none_or(same) {
            self.pages.clear();
        }
        self.pages.push_back((at, page));
        let is_old = |(then, _): &(Instant, Page)| at.duration_since(*then) > WINDOW;
        while self.pages.len() > MOST || self.pages.front().is_some_and(is_old) {
            self.pages.pop_front();
        }
    }

    /// What happened in the last seconds.
    pub(super) fn moment(&self, uptime: f64) -> Option<Stretch<'_>> {
        self.stretch(MOMENT, uptime)
    }

    /// What happened in the last minute.
    pub(super) fn minute(&self, uptime: f64) -> Option<Stretch<'_>> {
        self.stretch(WINDOW, uptime)
    }

    /// From the oldest page that is no older than that; where there is but one page, since the program's start.
    fn stretch(&self, length: Duration, uptime: f64) -> Option<Stretch<'_>> {
        let (end, to) = self.pages.back()?;
        let first = self
            .pages
            .iter()
            .find(|(at, _)| end.duration_since(*at) <= length);
        let (begin, from) = first
            .filter(|(at, _)| at < end)
            .map_or((None, None), |(at, page)| (Some(*at), Some(page)));
        let seconds = begin.map_or(uptime, |begin| end.duration_since(begin).as_secs_f64());
        Some(Stretch { from, to, seconds })
    }
}

/// What the numbers did for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch<'a> {
    from: Option<&'a Page>,
    to: &'a Page,
    seconds: f64,
}

impl Stretch<'_> {
    /// Whether it is all the time that the program runs.
    pub(super) fn is_all(&self) -> bool {
        self.from.is_none()
    }

    /// By how much a counter grew.
    pub(super) fn more(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let before = self.from.map_or(0.0, |page| page.sum(name, labels));
        (self.to.sum(name, labels) - before).max(0.0)
    }

    /// The same a second.
    pub(super) fn rate(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.more(name, labels) / self.seconds.max(0.001)
    }

    /// The time below which this share of the histogram's observations is, in seconds, as Prometheus would estimate it;
    /// none where there were none.
    pub(super) fn quantile(&self, share: f64, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let name = format!("{name}_bucket");
        let mut buckets = self.to.buckets(&name, labels);
        let before = self
            .from
            .map(|page| page.buckets(&name, labels))
            .unwrap_or_default();
        for ((_, count), (_, old)) in buckets.iter_mut().zip(before) {
            *count = (*count - old).max(0.0);
        }
        let wanted = share * buckets.last().filter(|(_, all)| *all > 0.0)?.1;
        let (mut low, mut below) = (0.0, 0.0);
        for (edge, count) in buckets {
            if count >= wanted {
                let inside = (wanted - below) / (count - below);
                return Some(if edge.is_finite() {
                    low + (edge - low) * inside
                } else {
                    low
                });
            }
            (low, below) = (edge, count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(requests: u32, le: [u32; 3]) -> Page {
        Page::read(&format!(
            "# HELP x y\nllm_proxy_start_time_seconds 7\nr{{a=\"x\",b=\"q\\\"}},\\\\\\n\"}} {requests}\nr{{a=\"y\"}} 1\n\
             h_bucket{{a=\"x\",le=\"0.1\"}} {}\nh_bucket{{a=\"x\",le=\"1\"}} {}\nh_bucket{{a=\"x\",le=\"+Inf\"}} {}\nnonsense\n",
            le[0], le[1], le[2]
        ))
    }

    #[test]
    fn a_page_is_read_with_its_labels_however_they_are_escaped() {
        let page = page(5, [1, 2, 3]);
        for (labels, sum) in [
            (&[][..], 6.0),
            (&[("a", "x")], 5.0),
            (&[("a", "x"), ("b", "q\"},\\\n")], 5.0),
            (&[("a", "y"), ("b", "")], 0.0),
            (&[("c", "x")], 0.0),
        ] {
            assert!((page.sum("r", labels) - sum).abs() < 1e-9, "{labels:?}");
        }
    }

    #[test]
    fn a_quantile_lies_within_its_bucket_and_counts_only_what_is_new() {
        let mut history = History::default();
        let start = crate::base::clock::now();
        history.keep(start, page(10, [100, 100, 100]));
        let all = history.minute(50.0).unwrap();
        assert!(all.is_all() && (all.rate("r", &[]) - 0.22).abs() < 1e-9);
        assert_eq!(
            all.quantile(0.5, "h", &[]).map(|s| s.to_string()),
            Some("0.05".to_owned())
        );
        history.keep(start + Duration::from_secs(2), page(30, [100, 110, 110]));
        let new = history.minute(52.0).unwrap();
        assert!(!new.is_all() && (new.rate("r", &[]) - 10.0).abs() < 1e-9);
        let median = new.quantile(0.5, "h", &[("a", "x")]).unwrap();
        assert!((median - 0.55).abs() < 1e-9, "{median}");
        assert_eq!(new.quantile(0.5, "h", &[("a", "z")]), None);
        history.keep(start + Duration::from_secs(3), page(30, [100, 110, 120]));
        let beyond = history.moment(53.0).unwrap().quantile(0.99, "h", &[]);
        assert_eq!(beyond, Some(1.0), "what is above the last edge is told as that");
    }

    #[test]
    fn another_program_has_no_past_and_a_minute_is_all_that_is_kept() {
        let mut history = History::default();
        let start = crate::base::clock::now();
        for second in 0..200 {
            history.keep(start + Duration::from_secs(second), page(1, [0, 0, 0]));
        }
        assert_eq!(history.pages.len(), 61);
        let mut other = page(1, [0, 0, 0]);
        other.samples[0].2 = 8.0;
        history.keep(start + Duration::from_secs(200), other);
        assert_eq!(history.pages.len(), 1);
    }
}
