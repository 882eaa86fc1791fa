//! What the demo says, and how long each step took.

use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// The narrator.
pub struct Show {
    start: Instant,
    last: Instant,
    steps: u32,
}

impl Show {
    /// Begins to count time.
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { start: now, last: now, steps: 0 }
    }

    /// Tells of a step that is done, and what it took.
    pub fn step(&mut self, what: &str, detail: &str) {
        let took = self.last.elapsed();
        self.steps += 1;
        println!("{:>2}. {what} ({})", self.steps, seconds(took));
        for line in detail.lines() {
            println!("      {line}");
        }
        self.last = Instant::now();
    }

    /// Shows a question and its answer.
    pub fn answer(&mut self, question: &str, sql: &str, table: &str) {
        println!("\n    {question} ({})", seconds(self.last.elapsed()));
        sql.lines().for_each(|line| println!("      sql> {}", line.trim()));
        table.lines().for_each(|line| println!("      {line}"));
        self.last = Instant::now();
    }

    /// Says what to type next.
    pub fn next(&self, kafka: &str, http: &str, kept: bool) {
        println!("\nAll of it took {}.", seconds(self.start.elapsed()));
        if kept {
            println!("The node goes on until Ctrl-C. From another terminal:");
            println!("    export MILLSTREAM_HTTP={http}");
            println!("    millstream sql -c 'SELECT carrier, count(*) FROM flights GROUP BY carrier ORDER BY 2 DESC'");
            println!("    millstream topic consume alerts -n 3");
            println!("    millstream function describe enrich");
            println!(
                "    kafka-console-consumer --bootstrap-server {kafka} --topic flights --from-beginning --max-messages 3"
            );
        } else {
            println!(
                "Next: `millstream demo --keep` leaves the node running to play with; `millstream serve` starts an empty one."
            );
        }
    }

    /// Says what is left behind.
    pub fn end(&self, kept: Option<&Path>) {
        match kept {
            Some(folder) => println!("The node has stopped. Its data is kept in {}.", folder.display()),
            None => println!("The node has stopped and its temporary folder is gone: nothing is left behind."),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
