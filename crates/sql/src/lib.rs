//! SQL: the catalog, topics as tables, continuous queries.
