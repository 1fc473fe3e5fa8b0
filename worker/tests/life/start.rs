//! Starting without what is needed: waiting with a clear message, then giving up with one.

use std::time::Duration;

use callboard_testing::{Child, Database, free_port, private_redis, redis_url};

use crate::system::{PATIENCE, Settings, System};

fn log(settings: &Settings) -> String {
    std::fs::read_to_string(settings.log()).unwrap()
}

#[tokio::test]
async fn api_and_worker_wait_for_what_is_down_and_give_up_with_its_name() {
    let (database, redis) = (Database::create().await, redis_url().await);
    let nobody = format!("127.0.0.1:{}", free_port());
    let no_postgres = format!("postgres://callboard:hush-hush@{nobody}/callboard");
    let no_redis = format!("redis://:hush-hush@{nobody}/0");
    for (postgres, redis, name) in
        [(&*no_postgres, &*redis, "Postgres"), (database.url(), &*no_redis, "Redis")]
    {
        let mut settings = Settings::new(postgres, redis);
        settings.set("CALLBOARD_START_TIMEOUT", "2");
        for mut command in [settings.api(), settings.worker(&[])] {
            std::fs::write(settings.log(), "").unwrap();
            let mut process = Child::spawn(&mut command);
            let code = process.ended(PATIENCE).await.code();
            let log = log(&settings);
            assert_eq!(code, Some(1), "{log}");
            assert!(
                log.contains("waiting for")
                    && log.contains("giving up")
                    && log.contains(&format!("{name} at {nobody}")),
                "it says what it waits for, and where:\n{log}"
            );
            assert!(!log.contains("hush-hush"), "and no password:\n{log}");
        }
    }
}

#[tokio::test]
async fn what_comes_up_late_is_waited_for() {
    let (database, redis) = tokio::join!(Database::create(), private_redis());
    let settings = Settings::new(database.url(), redis.url());
    redis.kill();
    let later = {
        let redis = redis.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            redis.start().await;
        }
    };
    let (mut system, ()) = tokio::join!(System::with(settings, redis, Some(database), 0), later);
    system.add_worker(1).await;
}
