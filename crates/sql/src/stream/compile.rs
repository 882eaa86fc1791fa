//! A stream's query, checked and compiled once: a chain of filters and projections over one topic's rows.

use super::header::Header;
use super::spec::StreamSpec;
use crate::Error;
use crate::guard::{check_depth, tokens};
use crate::query::Context;
use crate::statement::{parse, refused};
use crate::topic::layout::{HEADERS, KEY, Layout, OFFSET, PARTITION, TIMESTAMP};
use crate::topic::table::TopicTable;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan, Volatility};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    ExceptSelectItem, Ident, SelectItem, SetExpr, Statement as Sql, TableFactor, WildcardAdditionalOptions,
};
use millstream_schema::json_schema;
use std::any::Any;
use std::sync::Arc;

/// A compiled query.
pub(crate) struct Program {
    pub(crate) input: String,
    pub(crate) layout: Arc<Layout>,
    /// The columns of the input that it needs.
    pub(crate) projection: Vec<usize>,
    pub(crate) steps: Vec<Step>,
    /// The columns it makes.
    pub(crate) schema: SchemaRef,
}

/// One step, over the rows of the one before.
pub(crate) enum Step {
    Filter(Arc<dyn PhysicalExpr>),
    Project(Vec<Arc<dyn PhysicalExpr>>, SchemaRef),
}

/// Reads and plans a `CREATE STREAM` statement.
pub(crate) async fn spec(state: &SessionState, sql: &str, context: &Arc<Context>) -> Result<StreamSpec, Error> {
    let header = Header::parse(sql)?;
    let program = program(state, &header.query, context).await?;
    let output = header.topic.unwrap_or_else(|| header.name.clone());
    if output == program.input {
        return Err(Error::Invalid {
            reason: format!(
                "the stream {:?} would write into {output:?}, the topic it reads, and never end; give it another topic",
                header.name
            ),
        });
    }
    Ok(StreamSpec {
        schema: json_schema(&output, &program.schema),
        name: header.name,
        sql: sql.trim().trim_end_matches(';').to_owned(),
        query: header.query,
        input: program.input,
        output,
        partitions: header.partitions,
        on_error: header.on_error,
        from_earliest: header.from_earliest,
        guarantee: header.guarantee,
        commit_interval_ms: header.commit_interval_ms,
    })
}

/// Checks and compiles a stream's query.
pub(crate) async fn program(state: &SessionState, query: &str, context: &Arc<Context>) -> Result<Program, Error> {
    check_depth(&tokens(query)?)?;
    let mut statement = parse(query)?;
    narrow_wildcard(&mut statement);
    if !matches!(&statement, Statement::Statement(sql) if matches!(sql.as_ref(), Sql::Query(_))) {
        return Err(refused("a stream without a SELECT", "write CREATE STREAM name AS SELECT ... FROM topic"));
    }
    let plan = state.statement_to_plan(statement).await.map_err(|error| context.explain(error))?;
    check(&plan)?;
    let plan = state.optimize(&plan).map_err(|error| context.explain(error))?;
    let mut chain = Chain { state, steps: Vec::new(), schema: None };
    let (table, projection) = chain.walk(&plan).map_err(|error| context.explain(error))?;
    let provider = source_as_provider(&table.source).map_err(|error| context.explain(error))?;
    let provider: &dyn Any = provider.as_ref();
    let Some(topic) = provider.downcast_ref::<TopicTable>() else {
        return Err(refused(&format!("a stream over {}", table.table_name), "a stream reads a topic"));
    };
    let schema = chain.schema.unwrap_or_else(|| {
        Arc::new(Schema::new(
            projection.iter().map(|index| topic.layout.schema.fields()[*index].clone()).collect::<Vec<_>>(),
        ))
    });
    Ok(Program {
        input: topic.topic.name.clone(),
        layout: topic.layout.clone(),
        projection,
        steps: chain.steps,
        schema,
    })
}

/// `SELECT *` of a stream means the fields: where a record lay is not part of what is written.
fn narrow_wildcard(statement: &mut Statement) {
    let Statement::Statement(sql) = statement else { return };
    let Sql::Query(query) = sql.as_mut() else { return };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let direct = select.from.iter().all(|from| matches!(from.relation, TableFactor::Table { .. }));
    for item in select.projection.iter_mut().filter(|_| direct) {
        if let SelectItem::Wildcard(options) = item
            && *options
                == (WildcardAdditionalOptions { wildcard_token: options.wildcard_token.clone(), ..Default::default() })
        {
            let [first, others @ ..] = [PARTITION, OFFSET, TIMESTAMP, KEY, HEADERS].map(Ident::new);
            options.opt_except = Some(ExceptSelectItem { first_element: first, additional_elements: others.to_vec() });
        }
    }
}

/// Refuses, by name, what a chain of filters and projections over one topic can't do.
fn check(plan: &LogicalPlan) -> Result<(), Error> {
    let mut found = None;
    let walked = plan.apply(|node| {
        found = refused_node(node).or_else(|| refused_expressions(node));
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(|error| Error::Internal { reason: error.strip_backtrace() })?;
    match found {
        Some((what, instead)) => Err(refused(&format!("{what} in a stream"), instead)),
        None => Ok(()),
    }
}

const QUERY_IT: &str = "a stream filters and projects one topic; ask for the rest with a query over its output";

fn refused_node(node: &LogicalPlan) -> Option<(&'static str, &'static str)> {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::SubqueryAlias(_) => None,
        LogicalPlan::Aggregate(_) => Some(("GROUP BY or an aggregate such as count", QUERY_IT)),
        LogicalPlan::Distinct(_) => Some(("DISTINCT", QUERY_IT)),
        LogicalPlan::Join(_) => Some(("a join", QUERY_IT)),
        LogicalPlan::Sort(_) => Some(("ORDER BY", "records keep the order of their partition")),
        LogicalPlan::Limit(_) => Some(("LIMIT or OFFSET", "a stream has no end; filter by WHERE")),
        LogicalPlan::Window(_) => Some(("a window function", QUERY_IT)),
        LogicalPlan::Union(_) => Some(("UNION", "make a stream of each part, both WITH (topic = 'the same')")),
        LogicalPlan::Subquery(_) => Some(("a subquery", QUERY_IT)),
        LogicalPlan::Unnest(_) => Some(("unnest", "use a function for one record that becomes many")),
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
            Some(("a query without a topic", "name a topic after FROM"))
        }
        LogicalPlan::RecursiveQuery(_) => Some(("WITH RECURSIVE", QUERY_IT)),
        _ => Some(("this kind of query", QUERY_IT)),
    }
}

fn refused_expressions(node: &LogicalPlan) -> Option<(&'static str, &'static str)> {
    let mut found = None;
    for expression in node.expressions() {
        // The walk only looks: it can't fail.
        let _ = expression.apply(|inner| {
            found = match inner {
                Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
                    Some(("a subquery", QUERY_IT))
                }
                Expr::ScalarFunction(call) if call.func.signature().volatility == Volatility::Stable => {
                    Some(("the current time", "it would stand still at the stream's start: use _timestamp"))
                }
                _ => None,
            };
            Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

struct Chain<'a> {
    state: &'a SessionState,
    steps: Vec<Step>,
    schema: Option<SchemaRef>,
}

impl Chain<'_> {
    /// Compiles the plan's steps, innermost first; answers with the table at its end and the columns read of it.
    fn walk<'p>(&mut self, plan: &'p LogicalPlan) -> Result<(&'p TableScan, Vec<usize>), DataFusionError> {
        match plan {
            LogicalPlan::TableScan(scan) => {
                let all = || (0..scan.source.schema().fields().len()).collect();
                Ok((scan, scan.projection.clone().unwrap_or_else(all)))
            }
            LogicalPlan::SubqueryAlias(alias) => self.walk(&alias.input),
            LogicalPlan::Filter(filter) => {
                let below = self.walk(&filter.input)?;
                let predicate = self.state.create_physical_expr(filter.predicate.clone(), filter.input.schema())?;
                self.steps.push(Step::Filter(predicate));
                Ok(below)
            }
            LogicalPlan::Projection(projection) => {
                let below = self.walk(&projection.input)?;
                let input = projection.input.schema();
                let (mut expressions, mut fields) = (Vec::new(), Vec::new());
                for (expression, field) in projection.expr.iter().zip(projection.schema.fields()) {
                    let physical = self.state.create_physical_expr(expression.clone(), input)?;
                    let made = physical.return_field(input.as_arrow())?;
                    fields.push(
                        Field::new(field.name(), made.data_type().clone(), true).with_metadata(made.metadata().clone()),
                    );
                    expressions.push(physical);
                }
                let schema = Arc::new(Schema::new(fields));
                self.schema = Some(schema.clone());
                self.steps.push(Step::Project(expressions, schema));
                Ok(below)
            }
            LogicalPlan::EmptyRelation(_) => Err(Error::Invalid {
                reason: "the stream's condition is never true: it would write nothing".to_owned(),
            }
            .into()),
            _ => Err(refused("this kind of query in a stream", QUERY_IT).into()),
        }
    }
}
