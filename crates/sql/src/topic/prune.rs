//! What a query's conditions say about where its records lie: partitions, offsets and times. Pure, and only ever too wide: the
//! conditions themselves are applied to the rows again.

use super::layout::{OFFSET, PARTITION, TIMESTAMP};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator, expr::InList};
use datafusion::scalar::ScalarValue;
use std::collections::BTreeSet;

/// Records that a query may need. Bounds are inclusive, so that "all" needs no special case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The partitions; none when it is all.
    pub(crate) partitions: Option<BTreeSet<i32>>,
    /// First and last offset.
    pub(crate) offsets: (i64, i64),
    /// First and last timestamp, in milliseconds.
    pub(crate) times: (i64, i64),
}

const ALL: (i64, i64) = (i64::MIN, i64::MAX);
const NOTHING: (i64, i64) = (i64::MAX, i64::MIN);

impl Scope {
    /// Every record.
    pub(crate) const ALL: Self = Self { partitions: None, offsets: ALL, times: ALL };

    /// What conditions leave that must all hold.
    pub(crate) fn of<'a>(filters: impl IntoIterator<Item = &'a Expr>) -> Self {
        filters.into_iter().fold(Self::ALL, |scope, filter| scope.and(&scope_of(filter)))
    }

    /// Whether a record may be needed.
    pub(crate) const fn has(&self, offset: i64, time: i64) -> bool {
        self.offsets.0 <= offset && offset <= self.offsets.1 && self.times.0 <= time && time <= self.times.1
    }

    /// Whether a partition may hold a record that is needed.
    pub(crate) fn has_partition(&self, partition: i32) -> bool {
        let some = self.offsets.0 <= self.offsets.1 && self.times.0 <= self.times.1;
        some && self.partitions.as_ref().is_none_or(|partitions| partitions.contains(&partition))
    }

    fn and(&self, other: &Self) -> Self {
        let partitions = match (&self.partitions, &other.partitions) {
            (Some(a), Some(b)) => Some(a.intersection(b).copied().collect()),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
        let both = |a: (i64, i64), b: (i64, i64)| (a.0.max(b.0), a.1.min(b.1));
        Self { partitions, offsets: both(self.offsets, other.offsets), times: both(self.times, other.times) }
    }

    fn or(&self, other: &Self) -> Self {
        let partitions = match (&self.partitions, &other.partitions) {
            (Some(a), Some(b)) => Some(a.union(b).copied().collect()),
            _ => None,
        };
        let either = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        Self { partitions, offsets: either(self.offsets, other.offsets), times: either(self.times, other.times) }
    }
}

/// Whether a condition says something about where records lie.
pub(crate) fn narrows(filter: &Expr) -> bool {
    scope_of(filter) != Scope::ALL
}

fn scope_of(filter: &Expr) -> Scope {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => scope_of(left).and(&scope_of(right)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => scope_of(left).or(&scope_of(right)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            match (position(left), value(right), position(right), value(left)) {
                (Some(position), Some(value), ..) => compared(position, *op, value),
                (_, _, Some(position), Some(value)) => op.swap().map_or(Scope::ALL, |op| compared(position, op, value)),
                _ => Scope::ALL,
            }
        }
        Expr::Between(Between { expr, negated: false, low, high }) => match (position(expr), value(low), value(high)) {
            (Some(position), Some(low), Some(high)) => {
                compared(position, Operator::GtEq, low).and(&compared(position, Operator::LtEq, high))
            }
            _ => Scope::ALL,
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            let Some(position) = position(expr) else { return Scope::ALL };
            let one = |item: &Expr| value(item).map_or(Scope::ALL, |value| compared(position, Operator::Eq, value));
            list.iter().map(one).reduce(|a, b| a.or(&b)).unwrap_or(Scope::ALL)
        }
        _ => Scope::ALL,
    }
}

/// One of the columns that say where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Partition,
    Offset,
    Timestamp,
}

fn position(expr: &Expr) -> Option<Position> {
    match expr {
        Expr::Column(column) => match column.name.as_str() {
            PARTITION => Some(Position::Partition),
            OFFSET => Some(Position::Offset),
            TIMESTAMP => Some(Position::Timestamp),
            _ => None,
        },
        // A wider type holds the same values: comparing there is comparing here.
        Expr::Cast(Cast { expr, field }) => position(expr).filter(|position| widens(*position, field.data_type())),
        _ => None,
    }
}

const fn widens(position: Position, to: &DataType) -> bool {
    match position {
        Position::Partition => matches!(to, DataType::Int64),
        Position::Offset => false,
        Position::Timestamp => {
            matches!(to, DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond | TimeUnit::Millisecond, _))
        }
    }
}

/// A number to compare with: exact, or between two (a time finer than a millisecond).
#[derive(Debug, Clone, Copy)]
struct Bound {
    floor: i64,
    ceiling: i64,
}

fn value(expr: &Expr) -> Option<Bound> {
    let Expr::Literal(value, _) = expr else { return None };
    let exact = |value: i64| Some(Bound { floor: value, ceiling: value });
    let scaled = |value: i64, per_ms: i64| {
        let floor = value.div_euclid(per_ms);
        Some(Bound { floor, ceiling: if value.rem_euclid(per_ms) == 0 { floor } else { floor + 1 } })
    };
    match value {
        ScalarValue::Int8(Some(value)) => exact((*value).into()),
        ScalarValue::Int16(Some(value)) => exact((*value).into()),
        ScalarValue::Int32(Some(value)) => exact((*value).into()),
        ScalarValue::Int64(Some(value)) => exact(*value),
        ScalarValue::UInt8(Some(value)) => exact((*value).into()),
        ScalarValue::UInt16(Some(value)) => exact((*value).into()),
        ScalarValue::UInt32(Some(value)) => exact((*value).into()),
        ScalarValue::UInt64(Some(value)) => exact(i64::try_from(*value).ok()?),
        ScalarValue::TimestampSecond(Some(value), _) => exact(value.checked_mul(1000)?),
        ScalarValue::TimestampMillisecond(Some(value), _) => exact(*value),
        ScalarValue::TimestampMicrosecond(Some(value), _) => scaled(*value, 1000),
        ScalarValue::TimestampNanosecond(Some(value), _) => scaled(*value, 1_000_000),
        _ => None,
    }
}

fn compared(position: Position, op: Operator, value: Bound) -> Scope {
    let range = match op {
        Operator::Eq if value.floor == value.ceiling => (value.floor, value.floor),
        Operator::Eq => NOTHING,
        Operator::Gt => (value.floor.saturating_add(1), i64::MAX),
        Operator::GtEq => (value.ceiling, i64::MAX),
        Operator::Lt => (i64::MIN, value.ceiling.saturating_sub(1)),
        Operator::LtEq => (i64::MIN, value.floor),
        _ => return Scope::ALL,
    };
    match position {
        Position::Offset => Scope { offsets: range, ..Scope::ALL },
        Position::Timestamp => Scope { times: range, ..Scope::ALL },
        Position::Partition if op == Operator::Eq => {
            Scope { partitions: Some(i32::try_from(value.floor).into_iter().collect()), ..Scope::ALL }
        }
        Position::Partition => Scope::ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::{col, lit};

    fn ms(value: i64) -> Expr {
        lit(ScalarValue::TimestampMillisecond(Some(value), Some("UTC".into())))
    }

    fn us(value: i64) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(Some(value), None))
    }

    fn offsets(from: i64, to: i64) -> Scope {
        Scope { offsets: (from, to), ..Scope::ALL }
    }

    fn times(from: i64, to: i64) -> Scope {
        Scope { times: (from, to), ..Scope::ALL }
    }

    fn partitions(list: &[i32]) -> Scope {
        Scope { partitions: Some(list.iter().copied().collect()), ..Scope::ALL }
    }

    #[test]
    fn conditions_become_scopes() {
        let cast = |expr: Expr, to: DataType| datafusion::logical_expr::cast(expr, to);
        let table = [
            (col("_offset").gt(lit(5i64)), offsets(6, i64::MAX)),
            (col("_offset").gt_eq(lit(5i64)).and(col("_offset").lt(lit(9i64))), offsets(5, 8)),
            (lit(5i64).gt(col("_offset")), offsets(i64::MIN, 4)),
            (col("_offset").between(lit(1i64), lit(3i64)), offsets(1, 3)),
            (col("_offset").not_between(lit(1i64), lit(3i64)), Scope::ALL),
            (col("_offset").in_list(vec![lit(7i64), lit(2i64)], false), offsets(2, 7)),
            (col("_offset").in_list(vec![lit(7i64)], true), Scope::ALL),
            (col("_offset").eq(lit(4i64)).or(col("_offset").eq(lit(8i64))), offsets(4, 8)),
            (col("_offset").eq(lit(4i64)).or(col("a").eq(lit(8i64))), Scope::ALL),
            (col("_offset").eq(lit(4i64)).and(col("a").eq(lit(8i64))), offsets(4, 4)),
            (col("_offset").not_eq(lit(4i64)), Scope::ALL),
            (col("_partition").eq(lit(1i32)), partitions(&[1])),
            (cast(col("_partition"), DataType::Int64).eq(lit(1i64)), partitions(&[1])),
            (col("_partition").in_list(vec![lit(1i32), lit(3i32)], false), partitions(&[1, 3])),
            (col("_partition").eq(lit(1i32)).or(col("_partition").eq(lit(2i32))), partitions(&[1, 2])),
            (col("_partition").eq(lit(1i32)).and(col("_partition").eq(lit(2i32))), partitions(&[])),
            (col("_partition").gt(lit(1i32)), Scope::ALL),
            (col("_timestamp").gt_eq(ms(100)), times(100, i64::MAX)),
            (col("_timestamp").gt(us(100_500)), times(101, i64::MAX)),
            (col("_timestamp").gt_eq(us(100_500)), times(101, i64::MAX)),
            (col("_timestamp").gt(us(100_000)), times(101, i64::MAX)),
            (col("_timestamp").lt(us(100_500)), times(i64::MIN, 100)),
            (col("_timestamp").lt_eq(us(100_500)), times(i64::MIN, 100)),
            (col("_timestamp").eq(us(100_500)), times(i64::MAX, i64::MIN)),
            (cast(col("_timestamp"), DataType::Timestamp(TimeUnit::Microsecond, None)).lt(us(-1)), times(i64::MIN, -1)),
            (cast(col("_timestamp"), DataType::Date32).eq(ms(0)), Scope::ALL),
            (col("other").gt(lit(5i64)), Scope::ALL),
            (col("_offset").gt(col("other")), Scope::ALL),
        ];
        for (filter, expected) in table {
            assert_eq!(Scope::of([&filter]), expected, "{filter}");
            assert_eq!(narrows(&filter), expected != Scope::ALL, "{filter}");
        }
    }

    #[test]
    fn conditions_that_exclude_each_other_leave_no_partition() {
        let filters = [col("_offset").gt(lit(5i64)), col("_offset").lt(lit(3i64))];
        let scope = Scope::of(&filters);
        assert!(!scope.has_partition(0));
        assert!(Scope::ALL.has_partition(0) && Scope::ALL.has(i64::MIN, i64::MAX));
    }
}
