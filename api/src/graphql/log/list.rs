//! Pages of a job's log lines. Lines are numbered without gaps, so a page is a range of sequences.

use std::sync::Arc;

use async_graphql::{Context, Result};
use callboard::{
    ids::JobId,
    store::jobs::logs::{self, LineRange, Search},
};

use super::LogLine;
use crate::{
    cursor::Cursor as _,
    error::{ApiError, Code},
    feed::LogCursor,
    graphql::{
        job::JobContext,
        page::{Bounds, Page, asks_for_total},
        query_limits::page_cost,
        reads,
    },
};

/// Maximum number of lines per page.
const LINES_MAX: u16 = 1000;
/// How many lines cost as much as one object that has to be looked up.
const LINES_AT_THE_COST_OF_ONE: usize = 10;
/// Longest search, in characters.
const SEARCH_CHARS_MAX: usize = 200;

crate::connection!(
    /// A page of a job's log lines, in order.
    LogLineConnection,
    /// A log line with its cursor.
    LogLineEdge,
    LogLine
);

/// The arguments of `Job.log`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "documented as the arguments of Job.log")]
pub struct LogRequest {
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
    pub from_sequence: Option<i32>,
    pub attempt: Option<i32>,
    pub search: Option<String>,
}

/// The cost of a page of lines.
pub fn cost(first: Option<i32>, last: Option<i32>, of_one: usize) -> usize {
    page_cost(first, last, of_one) / LINES_AT_THE_COST_OF_ONE + 1
}

/// Returns a page of a job's log lines.
pub async fn list(ctx: &Context<'_>, job: JobId, request: LogRequest) -> Result<LogLineConnection> {
    let page: Page<LogCursor> =
        Page::parse((request.first, request.after), (request.last, request.before), LINES_MAX)?;
    if [page.after, page.before].into_iter().flatten().any(|cursor| cursor.job != job) {
        return Err(ApiError::new(Code::BadCursor, "The cursor belongs to the log of another job.").into());
    }
    let search = check_search(request.search)?;
    let reading =
        Reading { job, attempt: request.attempt, search, page, from: request.from_sequence.unwrap_or(1) };
    let found = reading.read(ctx).await?;
    let items = found.lines.into_iter().map(|line| {
        let cursor = LogCursor { job, sequence: line.sequence }.encode();
        (cursor, LogLine::from(line))
    });
    Ok(LogLineConnection::new(items, found.bounds, found.total))
}

fn check_search(search: Option<String>) -> Result<Option<String>, ApiError> {
    let search = search.filter(|text| !text.is_empty());
    if search.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX) {
        let message = format!("`search` must have at most {SEARCH_CHARS_MAX} characters.");
        return Err(ApiError::new(Code::BadRequest, message));
    }
    Ok(search)
}

struct Reading {
    job: JobId,
    attempt: Option<i32>,
    search: Option<String>,
    page: Page<LogCursor>,
    from: i32,
}

struct Found {
    lines: Vec<logs::LogLine>,
    bounds: Bounds,
    total: Option<i64>,
}

impl Reading {
    async fn read(&self, ctx: &Context<'_>) -> Result<Found> {
        let stored = JobContext::of(ctx)?.readers.log_bounds((self.job, self.attempt)).await?;
        let Some(LineRange { from: first, to: last, .. }) = stored else {
            return Ok(Found { lines: Vec::new(), bounds: Bounds::default(), total: Some(0) });
        };
        let low = self.page.after.map_or(first, |cursor| first.max(cursor.sequence + 1));
        let low = low.max(i64::from(self.from));
        let high = self.page.before.map_or(last, |cursor| last.min(cursor.sequence - 1));
        match &self.search {
            Some(text) => {
                let search = Search { text: text.clone(), attempt: self.attempt };
                self.search(ctx, &search, (low, high)).await
            }
            None => self.slice(ctx, (first.max(i64::from(self.from)), last), (low, high)).await,
        }
    }

    /// Reads the lines between `low` and `high`. `stored` holds the first and last sequence of the
    /// list. Batched.
    async fn slice(&self, ctx: &Context<'_>, stored: (i64, i64), (low, high): (i64, i64)) -> Result<Found> {
        let limit = i64::from(self.page.limit);
        let (from, to) = if self.page.is_from_end {
            (low.max(high - limit + 1), high)
        } else {
            (low, high.min(low + limit - 1))
        };
        let lines = if from <= to {
            JobContext::of(ctx)?.readers.log_lines(LineRange { job: self.job, from, to }).await?
        } else {
            None
        };
        let bounds = Bounds { has_previous: from > stored.0, has_next: to < stored.1 };
        let lines = lines.map(Arc::unwrap_or_clone).unwrap_or_default();
        Ok(Found { lines, bounds, total: Some((stored.1 - stored.0 + 1).max(0)) })
    }

    /// Searches one log, in a statement of its own: it reads all of the log.
    async fn search(&self, ctx: &Context<'_>, search: &Search, between: (i64, i64)) -> Result<Found> {
        let (page, rows) = (&self.page, self.page.rows());
        let mut connection = reads::connection(ctx).await?;
        let lines =
            logs::matching(&mut connection, self.job, search, between, page.is_from_end, rows).await?;
        let from = i64::from(self.from);
        let total = if asks_for_total(ctx) {
            Some(logs::count_matching(&mut connection, self.job, search, from).await?)
        } else {
            None
        };
        drop(connection);
        let (lines, bounds) = page.cut(lines);
        Ok(Found { lines, bounds, total })
    }
}
