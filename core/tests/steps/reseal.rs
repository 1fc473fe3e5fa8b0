//! Rotating the master key: every column, while rows are locked and changed, killed in the middle.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use callboard::{
    catalogue::{
        Catalogue, ProfileCreate, ProxyCreate, ScheduleCreate, SecretInput, ServiceCreate, TokenRefresh,
    },
    clock::IdSource,
    evaluator::Evaluator,
    ids::CommandId,
    job::JobRequest,
    patch::LimitsPatch,
    proxy::ProxyProtocol,
    recipes::Recipes,
    secret::{Keyring, SealHead},
    steps::{
        enqueue::{context::SubmitContext, fire_schedules::fire_schedules, submit::submit},
        maintain::reseal::{
            BATCH, Cursor, KeyError, Resealed, by_key, check_keys, count_sealed, reseal_batch,
        },
    },
    store::maintenance::sealed::{Place, SealedColumn},
};
use secrecy::ExposeSecret as _;
use serde_json::json;
use sqlx::Row as _;

use crate::fixture::Fixture;

const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "qrvM3e7/ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJk=";
const PLAIN: &str = "correct-horse-battery-staple";

fn ring(text: &str) -> Keyring {
    Keyring::parse(&text.into()).unwrap()
}

fn both() -> Keyring {
    ring(&format!("{NEW}\n{OLD}"))
}

fn request(command: CommandId, key: Option<&str>) -> JobRequest {
    JobRequest {
        input: Some(json!({ "pin": PLAIN })),
        idempotency_key: key.map(str::to_owned),
        ..JobRequest::new(command)
    }
}

impl Fixture {
    fn context_with(&self, keyring: Keyring) -> SubmitContext {
        SubmitContext {
            store: self.store.clone(),
            keyring,
            recipes: Recipes::default(),
            evaluator: Evaluator::unbounded(),
            ids: IdSource,
        }
    }

    /// Secrets of every kind, sealed with OLD. Returns the command with a secret input.
    async fn secrets(&self) -> CommandId {
        let secret = |name: &str| SecretInput { name: name.into(), value: PLAIN.into(), expires_at: None };
        let profile = ProfileCreate {
            name: "p".into(),
            chrome_profile_path: "p".into(),
            secrets: vec![secret("a"), secret("b")],
            ..ProfileCreate::default()
        };
        self.catalogue.profile_create(profile).await.unwrap();
        let service =
            ServiceCreate { name: "s".into(), token: Some(PLAIN.into()), ..ServiceCreate::default() };
        self.catalogue.service_create(service).await.unwrap();
        let proxy = ProxyCreate {
            name: "x".into(),
            protocol: ProxyProtocol::Http,
            address: "proxy.example:3128".into(),
            username: Some(PLAIN.into()),
            password: Some(PLAIN.into()),
            limits: LimitsPatch::default(),
        };
        self.catalogue.proxy_create(proxy).await.unwrap();
        let schema = json!({ "properties": { "pin": { "type": "string", "writeOnly": true } } });
        let command = self.command_with("secret", schema).await;
        let schedule = ScheduleCreate {
            name: "s".into(),
            cron: "0 0 1 1 *".into(),
            timezone: None,
            job: request(command, None),
            overlap: None,
            catch_up: None,
            is_paused: false,
        };
        self.catalogue.schedule_create(&self.context, schedule).await.unwrap();
        command
    }

    async fn rotate(&self, keyring: &Keyring) -> Vec<Resealed> {
        let mut batches = Vec::new();
        for count in count_sealed(&self.store).await.unwrap() {
            let head = count.head.unwrap();
            let mut at = (head != keyring.head()).then(|| Cursor::new(count.column, head));
            while let Some(cursor) = at.take() {
                let batch = reseal_batch(&self.store, keyring, &cursor).await.unwrap();
                at.clone_from(&batch.next);
                batches.push(batch);
            }
        }
        batches
    }

    /// Every sealed value of the database, opened with this keyring.
    async fn opened(&self, keyring: &Keyring) -> Vec<String> {
        let mut opened = Vec::new();
        for column in SealedColumn::ALL {
            let (table, sealed) = column.name().split_once('.').unwrap();
            let (id, name) = if table == "profile_secrets" { ("profile_id", "name") } else { ("id", "''") };
            let statement = format!(
                "SELECT {id}, {name}, {sealed} FROM {table} WHERE {sealed} IS NOT NULL ORDER BY 1, 2"
            );
            let mut connection = self.store.connection().await.unwrap();
            let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&mut *connection).await.unwrap();
            for row in rows {
                let place = Place { id: row.get(0), name: row.get(1) };
                let value = keyring.open(column.owner(&place), &row.get::<Vec<u8>, _>(2)).unwrap();
                opened.push(value.expose_secret().to_owned());
            }
        }
        opened
    }
}

/// A new column with sealed values that a rotation would forget fails here.
#[tokio::test]
async fn every_sealed_column_of_the_schema_is_known() {
    let fixture = Fixture::new().await;
    let columns: String = fixture
        .value(
            "SELECT string_agg(DISTINCT c.table_name || '.' || c.column_name, ' ') FROM information_schema.columns AS c
             JOIN information_schema.tables AS t USING (table_schema, table_name)
             WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type = 'bytea'
                 AND c.column_name LIKE '%sealed%'",
        )
        .await;
    let columns: BTreeSet<&str> = columns.split(' ').collect();
    assert_eq!(columns, SealedColumn::ALL.map(SealedColumn::name).into());
}

#[tokio::test]
async fn everything_is_sealed_again_and_opens_with_the_new_key_only() {
    let fixture = Fixture::new().await;
    let command = fixture.secrets().await;
    let jobs = vec![request(command, None); BATCH + 7];
    fixture.submit(jobs).await;
    let before = fixture.opened(&ring(OLD)).await;
    assert_eq!(before.len(), 6 + BATCH + 7);
    assert!(before.iter().all(|value| value.contains(PLAIN)));

    check_keys(&fixture.store, &both()).await.unwrap();
    check_keys(&fixture.store, &ring(OLD)).await.unwrap();
    let refused = check_keys(&fixture.store, &ring(NEW)).await.unwrap_err();
    assert!(matches!(&refused, KeyError::Missing { keys, what } if keys.len() == 1 && what.len() == 6));
    let refused = refused.to_string();
    for word in ["630dcd29", "CALLBOARD_OTHER_MASTER_KEYS", "rotate-master", "tokens of services"] {
        assert!(refused.contains(word), "{refused}");
    }

    let batches = fixture.rotate(&both()).await;
    assert_eq!(batches.iter().map(|batch| batch.values).sum::<u64>(), before.len() as u64);
    assert_eq!(batches.iter().filter(|batch| batch.next.is_some()).count(), 1, "more than a batch of jobs");
    assert_eq!(fixture.opened(&ring(NEW)).await, before);
    check_keys(&fixture.store, &ring(NEW)).await.unwrap();
    check_keys(&fixture.store, &ring(OLD)).await.unwrap_err();
    let counts = by_key(&count_sealed(&fixture.store).await.unwrap());
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(ring(NEW).sealing_key(), before.len() as u64)]);
    assert!(fixture.rotate(&both()).await.is_empty(), "nothing is left");
}

#[tokio::test]
async fn a_request_with_secrets_is_repeated_after_a_rotation() {
    let fixture = Fixture::new().await;
    let command = fixture.secrets().await;
    let request = request(command, Some("key"));
    let repeat = async |keyring: Keyring| {
        let context = fixture.context_with(keyring);
        submit(&context, &[vec![request.clone()]], false).await.value.remove(0).unwrap()[0].was_duplicate
    };
    let hash = "SELECT idempotency_hash FROM jobs";
    assert!(!repeat(ring(OLD)).await);
    let before: Vec<u8> = fixture.value(hash).await;
    for keyring in [ring(OLD), both()] {
        assert!(repeat(keyring).await);
    }
    fixture.rotate(&both()).await;
    assert!(repeat(ring(NEW)).await);
    assert_eq!(fixture.value::<Vec<u8>>(hash).await, before);
}

/// Transactions that hold rows are not waited for, and what they write is not lost.
#[tokio::test]
async fn a_rotation_leaves_locked_rows_to_its_next_pass() {
    let fixture = Fixture::new().await;
    fixture.secrets().await;
    let mut other = fixture.store.begin().await.unwrap();
    sqlx::query("UPDATE services SET token_hint = 'kept'").execute(&mut *other).await.unwrap();
    let values = |batches: &[Resealed]| batches.iter().map(|batch| batch.values).sum::<u64>();
    let first = tokio::time::timeout(Duration::from_secs(5), fixture.rotate(&both())).await.unwrap();
    assert_eq!(values(&first), 5);
    other.commit().await.unwrap();
    assert_eq!(values(&fixture.rotate(&both()).await), 1);
    assert_eq!(fixture.value::<String>("SELECT token_hint FROM services").await, "kept");
    assert_eq!(fixture.opened(&ring(NEW)).await.len(), 6);
}

#[tokio::test]
async fn a_value_that_does_not_open_is_named_and_stays() {
    let fixture = Fixture::new().await;
    fixture.secrets().await;
    // Copied from another row, it belongs to another owner.
    fixture
        .sql("UPDATE profile_secrets SET sealed = (SELECT sealed FROM profile_secrets WHERE name = 'a')")
        .await;
    let batches = fixture.rotate(&both()).await;
    let unreadable: Vec<&str> =
        batches.iter().flat_map(|batch| &batch.unreadable).map(|(owner, _)| owner.as_str()).collect();
    assert!(matches!(&unreadable[..], [one] if one.starts_with("profile_secret:") && one.ends_with(":b")));
    let counts = by_key(&count_sealed(&fixture.store).await.unwrap());
    assert_eq!(counts[&ring(OLD).sealing_key()], 1);
}

/// Everybody writes while a rotation goes on, with both keys, and nothing that opens with the old
/// key only is left.
#[tokio::test]
async fn secrets_that_change_during_a_rotation_are_kept() {
    let fixture = Fixture::new().await;
    let command = fixture.secrets().await;
    let catalogue = Catalogue {
        store: fixture.store.clone(),
        keyring: Arc::new(both()),
        allow_list: fixture.catalogue.allow_list.clone(),
        evaluator: Evaluator::unbounded(),
        ids: IdSource,
        actor: std::sync::Arc::default(),
    };
    let service: uuid::Uuid = fixture.value("SELECT id FROM services").await;
    let context = fixture.context_with(both());
    fixture.submit(vec![request(command, None); 2 * BATCH]).await;
    let writes = async {
        for number in 0..40 {
            let token = format!("{PLAIN}-{number}").into();
            let refresh = TokenRefresh { id: service.into(), token, expires_at: None };
            catalogue.service_token_refresh(refresh).await.unwrap();
            fire_schedules(&context).await.value.unwrap();
            let submitted = submit(&context, &[vec![request(command, None)]], false).await;
            assert!(submitted.value[0].is_ok());
        }
    };
    let keyring = both();
    let ((), _) = tokio::join!(writes, fixture.rotate(&keyring));
    fixture.rotate(&keyring).await;
    let opened = fixture.opened(&ring(NEW)).await;
    assert_eq!(opened.len(), 6 + 2 * BATCH + 40);
    assert!(opened.contains(&format!("{PLAIN}-39")));
    assert!(
        count_sealed(&fixture.store).await.unwrap().iter().all(|count| count.head == Some(ring(NEW).head()))
    );
    assert_eq!(SealHead::of(&[2]), None);
}
