//! Firing schedules whose jobs are heavy, cannot be evaluated or cannot be written, and those that
//! another worker fires.

use std::time::Duration;

use callboard::{
    evaluator::Evaluator, ids::CommandId, schedule::Overlap, steps::enqueue::fire_schedules::fire_schedules,
};
use callboard_test_support::eventually;
use serde_json::{Value, json};

use crate::{fixture::Fixture, schedules::hourly};

/// A schema that no process checks by itself, because it has references.
fn heavy_schema(required: &[&str]) -> Value {
    json!({ "$defs": { "any": {} }, "allOf": [{ "$ref": "#/$defs/any" }], "required": required })
}

impl Fixture {
    /// A command whose template takes some time.
    pub(crate) async fn heavy_command(&self) -> CommandId {
        let template = "{% for a in range(200) %}{% for b in range(90) %}{% endfor %}{% endfor %}";
        self.command_of("heavy", json!({}), vec![template.into()]).await
    }
}

#[tokio::test]
async fn schedules_fire_that_take_longer_to_prepare_than_a_transaction_may_be_idle() {
    // One connection, which nobody holds while something is evaluated.
    let fixture = Fixture::with_connections(1).await;
    let idle_max = Duration::from_millis(500);
    let heavy = fixture.heavy_command().await;
    let picky = fixture.command_with("picky", heavy_schema(&[])).await;
    for number in 0..20 {
        fixture.schedule(hourly(&format!("heavy{number}"), heavy, Overlap::Allow, 3)).await;
    }
    let refused = fixture.schedule(hourly("a", picky, Overlap::Allow, 0)).await;
    fixture.set_schema(picky, heavy_schema(&["n"])).await;
    let light = fixture.schedule(hourly("light", fixture.command, Overlap::Allow, 0)).await;
    fixture.down_for(3).await;
    fixture.sql("UPDATE schedules SET next_at = now() - interval '1 second' WHERE catch_up_ms = 0").await;
    fixture.sql("SET idle_in_transaction_session_timeout = 500").await;
    let since = std::time::Instant::now();
    fixture.fire().await;
    assert!(since.elapsed() > idle_max, "too fast to show anything: {:?}", since.elapsed());
    let (refused, light) = (fixture.reload(&refused).await, fixture.reload(&light).await);
    assert!(refused.last_failure.is_some() && refused.last_at.is_none(), "{refused:?}");
    assert!(light.last_failure.is_none() && light.last_at.is_some(), "{light:?}");
    assert_eq!(fixture.jobs_of_schedules().await, 20 * 3 + 1);
    let due: i64 = fixture.value("SELECT count(*) FROM schedules WHERE next_at <= now()").await;
    assert_eq!(due, 0);
}

#[tokio::test]
async fn a_schedule_that_cannot_be_evaluated_for_now_stays_due_and_delays_no_other() {
    let fixture = Fixture::new().await;
    let heavy = fixture.heavy_command().await;
    let stuck = fixture.schedule(hourly("stuck", heavy, Overlap::Allow, 0)).await;
    // More than one batch of them.
    for number in 0..120 {
        fixture.schedule(hourly(&format!("stuck{number}"), heavy, Overlap::Allow, 0)).await;
    }
    let light = fixture.schedule(hourly("light", fixture.command, Overlap::Allow, 0)).await;
    fixture.sql("UPDATE schedules SET next_at = now() - interval '9 seconds'").await;
    fixture.sql("UPDATE schedules SET next_at = now() - interval '1 second' WHERE name = 'light'").await;
    let before = fixture.reload(&stuck).await;
    let context = fixture.evaluating_with(Evaluator::of_program("/bin/false".into()));
    let next = fire_schedules(&context).await.value.unwrap();
    assert!(next.is_some_and(|next| !next.is_zero()), "there is a pause before the next try");
    assert_eq!(fixture.reload(&stuck).await, before);
    let light = fixture.reload(&light).await;
    assert!(light.last_at.is_some() && light.next_at > light.last_at, "{light:?}");
    assert_eq!(fixture.jobs_of_schedules().await, 1);

    // On a busy machine a round may come to none of them.
    eventually(Duration::from_mins(1), async || {
        fixture.fire().await;
        fixture.jobs_of_schedules().await == 122
    })
    .await;
    assert!(fixture.reload(&stuck).await.last_at.is_some());
}

#[tokio::test]
async fn a_schedule_that_another_worker_fires_counts_only_there() {
    let fixture = Fixture::new().await;
    let heavy = fixture.heavy_command().await;
    fixture.schedule(hourly("heavy", heavy, Overlap::Allow, 0)).await;
    fixture.sql("UPDATE schedules SET next_at = now() - interval '1 second'").await;
    let mut other = fixture.store.begin().await.unwrap();
    sqlx::query("SELECT FROM schedules FOR UPDATE").execute(&mut *other).await.unwrap();
    let next = fire_schedules(&fixture.context).await.value.unwrap();
    assert!(
        next.is_some_and(|next| !next.is_zero()),
        "nothing has moved on, so it is not tried again at once"
    );
    other.commit().await.unwrap();
    assert_eq!(fixture.jobs_of_schedules().await, 0);
    fixture.fire().await;
    assert_eq!(fixture.jobs_of_schedules().await, 1);
}
