//! What the demo asks in SQL. A test asks DuckDB the same of the same files.

/// A question and its query.
pub struct Question {
    /// In words.
    pub words: &'static str,
    /// In SQL.
    pub sql: &'static str,
}

/// The questions, in order.
pub const QUESTIONS: [Question; 4] = [
    Question {
        words: "Which airlines are late most often? (flights joined with airlines)",
        sql: "SELECT a.name, count(*) AS flights, round(100.0 * sum(CASE WHEN f.dep_delay > 15 THEN 1 ELSE 0 END) / count(*), 1) AS late_percent
              FROM flights f JOIN airlines a ON a.carrier = f.carrier
              GROUP BY a.name ORDER BY late_percent DESC, a.name LIMIT 5",
    },
    Question {
        words: "What does wind do to departures? (flights joined with the hour's weather)",
        sql: "SELECT CASE WHEN w.wind_speed < 10 THEN 'calm' WHEN w.wind_speed < 20 THEN 'windy' ELSE 'stormy' END AS wind,
                     count(*) AS flights, round(avg(CAST(f.dep_delay AS DOUBLE)), 2) AS mean_delay
              FROM flights f JOIN weather w ON w.origin = f.origin AND w.time_hour = f.time_hour
              WHERE w.wind_speed IS NOT NULL GROUP BY 1 ORDER BY 1",
    },
    Question {
        words: "Which destinations are cancelled most? (cancelled joined with airports)",
        sql: "SELECT p.name, count(*) AS cancelled FROM cancelled c JOIN airports p ON p.faa = c.dest
              GROUP BY p.name ORDER BY cancelled DESC, p.name LIMIT 5",
    },
    Question {
        words: "The longest delays, from the continuous query's own topic",
        sql: "SELECT carrier, flight, route, dep_delay FROM long_delays ORDER BY dep_delay DESC, carrier, flight, route LIMIT 5",
    },
];
