//! Rows as columns: a whole batch goes to PostgreSQL as one array a column, in one statement.

use std::borrow::Cow;

use tokio_postgres::types::{ToSql, Type};

use super::row::{Row, milliseconds};
use super::sums::Sums;
use crate::base::Cost;

/// A parameter and its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// The columns of `llm_proxy_requests`.
pub(super) struct Columns<'a> {
    texts: [Vec<Option<Cow<'a, str>>>; 8],
    integers: [Vec<i32>; 2],
    numbers: [Vec<Option<i64>>; 8],
    milliseconds: [Vec<Option<f64>>; 2],
    cancelled: Vec<bool>,
}

impl<'a> Columns<'a> {
    /// Those of a batch.
    pub(super) fn of(rows: &'a [Row], node: &'a str) -> Self {
        let texts =
            |of: fn(&'a Row) -> Option<&'a str>| rows.iter().map(|row| of(row).map(storable)).collect();
        let numbers = |of: fn(&Row) -> Option<u64>| {
            let number = |row| of(row).map(|number| i64::try_from(number).unwrap_or(i64::MAX));
            rows.iter().map(number).collect()
        };
        Self {
            texts: [
                texts(|row| Some(&row.request_id)),
                texts(|row| row.key.as_deref()),
                texts(|row| row.alias.as_deref()),
                texts(|row| row.backend.as_deref()),
                texts(|row| row.model.as_deref()),
                texts(|row| Some(row.dialect.name())),
                texts(|row| row.class),
                rows.iter().map(|_| Some(Cow::Borrowed(node))).collect(),
            ],
            integers: [
                rows.iter().map(|row| i32::from(row.status)).collect(),
                rows.iter()
                    .map(|row| i32::try_from(row.attempts).unwrap_or(i32::MAX))
                    .collect(),
            ],
            numbers: [
                rows.iter().map(|row| Some(row.millis())).collect(),
                numbers(|row| row.usage.input),
                numbers(|row| row.usage.output),
                numbers(|row| row.usage.cache_read),
                numbers(|row| row.usage.cache_write),
                numbers(|row| row.usage.reasoning),
                numbers(|row| row.cost.map(Cost::nanos)),
                numbers(|row| Some(row.generation)),
            ],
            milliseconds: [
                rows.iter().map(|row| row.first_byte.map(milliseconds)).collect(),
                rows.iter().map(|row| Some(milliseconds(row.elapsed))).collect(),
            ],
            cancelled: rows.iter().map(|row| row.cancelled).collect(),
        }
    }

    /// In the order of the table.
    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        let texts = self.texts.each_ref();
        let [id, key, alias, backend, model, dialect, class, node] =
            texts.map(|of| typed(of, Type::TEXT_ARRAY));
        let integers = self.integers.each_ref();
        let [status, attempts] = integers.map(|of| typed(of, Type::INT4_ARRAY));
        let numbers = self.numbers.each_ref();
        let [time, input, output, cached, written, reasoning, cost, generation] =
            numbers.map(|of| typed(of, Type::INT8_ARRAY));
        let milliseconds = self.milliseconds.each_ref();
        let [first_byte, duration] = milliseconds.map(|of| typed(of, Type::FLOAT8_ARRAY));
        let cancelled = typed(&self.cancelled, Type::BOOL_ARRAY);
        vec![
            time, id, key, alias, backend, model, dialect, status, class, attempts, input, output, cached,
            written, reasoning, cost, first_byte, duration, cancelled, generation, node,
        ]
    }
}

/// The columns of `llm_proxy_days`.
pub(super) struct Days {
    texts: [Vec<Option<Cow<'static, str>>>; 4],
    numbers: [Vec<Option<i64>>; 8],
}

impl Days {
    /// Those of the sums of a batch.
    pub(super) fn of(sums: &Sums) -> Self {
        let mut days = Self {
            texts: Default::default(),
            numbers: Default::default(),
        };
        // What is not storable becomes so, and may meet another then: one statement must not name a row twice.
        let mut storable_sums = Sums::default();
        for (whose, sum) in sums.iter() {
            let names = [&whose.key, &whose.backend, &whose.model].map(|name| storable(name));
            let [key, backend, model] = names.each_ref().map(|name| &**name);
            storable_sums.add(super::sums::Named::new(whose.day, [key, backend, model]), sum);
        }
        for (whose, sum) in storable_sums.iter() {
            let names = [&whose.key, &whose.backend, &whose.model].map(ToString::to_string);
            let [key, backend, model] = names;
            for (column, text) in days
                .texts
                .iter_mut()
                .zip([whose.day.to_string(), key, backend, model])
            {
                column.push(Some(Cow::Owned(text)));
            }
            for (column, number) in days.numbers.iter_mut().zip(sum.numbers()) {
                column.push(Some(number));
            }
        }
        days
    }

    /// In the order of the table.
    pub(super) fn parameters(&self) -> Vec<Parameter<'_>> {
        let texts = self.texts.iter().map(|of| typed(of, Type::TEXT_ARRAY));
        let numbers = self.numbers.iter().map(|of| typed(of, Type::INT8_ARRAY));
        texts.chain(numbers).collect()
    }
}

fn typed<T: ToSql + Sync>(column: &T, kind: Type) -> Parameter<'_> {
    (column, kind)
}

/// PostgreSQL has no zero character in its texts. A client may name a model with one.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Day;
    use crate::observe::ledger::{Named, Sum};

    #[test]
    fn names_that_become_storable_and_meet_are_one_row() {
        let mut sums = Sums::default();
        let one = Sum {
            requests: 1,
            ..Sum::default()
        };
        for model in ["a\0b", "a\u{fffd}b", "plain"] {
            sums.add(Named::new(Day(1), ["k", "b", model]), &one);
        }
        let days = Days::of(&sums);
        assert_eq!(days.texts[3], [Some("a\u{fffd}b".into()), Some("plain".into())]);
        assert_eq!(days.numbers[0], [Some(2), Some(1)]);
    }
}
