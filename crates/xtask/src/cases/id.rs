//! The numbers of cases: a letter for what they are about, and two digits.

use std::fmt;

/// Cases about one thing.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub(super) struct Family {
    /// Their place on the page.
    place: usize,
    /// With which their numbers begin.
    pub(super) letter: char,
    /// They are numbered from 1 to this.
    pub(super) count: u8,
    /// What they are about.
    pub(super) about: &'static str,
}

const fn family(place: usize, letter: char, count: u8, about: &'static str) -> Family {
    Family {
        place,
        letter,
        count,
        about,
    }
}

/// All of them, in the page's order.
pub(super) const FAMILIES: [Family; 10] = [
    family(0, 'F', 45, "an attempt fails before the commit point"),
    family(1, 'S', 26, "streams"),
    family(2, 'X', 10, "clients that leave"),
    family(3, 'C', 24, "cooldown, recovery, routing"),
    family(4, 'L', 22, "limits, queue, overload"),
    family(5, 'D', 19, "bad input"),
    family(6, 'A', 24, "keys and attacks"),
    family(7, 'V', 18, "conversion, and what clients' SDKs rely on"),
    family(8, 'K', 10, "config and reload"),
    family(9, 'O', 12, "operation"),
];

/// One case.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub(super) struct Id {
    family: Family,
    number: u8,
}

impl Id {
    /// Reads `F01`, or `f01` as it stands in a test's name; `None` for anything else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let letter = text.chars().next()?.to_ascii_uppercase();
        let family = *FAMILIES.iter().find(|family| family.letter == letter)?;
        let digits = text.get(1..).filter(|digits| digits.len() == 2)?;
        let number = digits.parse().ok()?;
        (1..=family.count)
            .contains(&number)
            .then_some(Self { family, number })
    }

    /// Every case that there is, in order.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let numbered = |family: Family| (1..=family.count).map(move |number| Self { family, number });
        FAMILIES.into_iter().flat_map(numbered)
    }

    pub(super) fn is_of(self, family: Family) -> bool {
        self.family == family
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:02}", self.family.letter, self.number)
    }
}

/// Reads the first cell of a table's row: `F01`, `A09, A10` or `L01 to L22`. Empty for anything else.
pub(super) fn several(cell: &str) -> Vec<Id> {
    let mut found = Vec::new();
    for part in cell.split(',') {
        let (first, last) = part.split_once(" to ").unwrap_or((part, part));
        match (Id::read(first.trim()), Id::read(last.trim())) {
            (Some(first), Some(last)) => found.extend(Id::all().filter(|id| (first..=last).contains(id))),
            _ => return Vec::new(),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_letter_of_a_family_and_two_digits_of_its_range() {
        for (text, expected) in [
            ("F01", Some("F01")),
            ("f45", Some("F45")),
            ("F46", None),
            ("F00", None),
            ("F1", None),
            ("F001", None),
            ("P12", None),
            ("fé1", None),
            ("", None),
        ] {
            let read = Id::read(text).map(|id| id.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert_eq!(Id::all().count(), 210);
    }

    #[test]
    fn a_cell_names_one_or_several() {
        for (cell, expected) in [
            ("F01", "F01"),
            ("F01, O02", "F01 O02"),
            ("K09 to O02", "K09 K10 O01 O02"),
            ("C17 to C19, C24", "C17 C18 C19 C24"),
            ("case", ""),
            ("F01 and more", ""),
        ] {
            let ids: Vec<String> = several(cell).iter().map(Id::to_string).collect();
            assert_eq!(ids.join(" "), expected, "{cell}");
        }
    }
}
