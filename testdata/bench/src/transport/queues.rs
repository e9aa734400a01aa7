//! Wires that are queues: a topic of a broker that speaks Kafka's protocol, and a stream of a real nats-server. Both are
//! processes of their own.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::{Load, Wire};
use crate::service::{Place, Service, port};

const TOPIC: &str = "trail";

pub(super) fn kafka() -> Result<Wire, String> {
    let said = |error: rdkafka::error::KafkaError| error.to_string();
    let program =
        std::env::var("TRIPLINE_PEER_KAFKA").map_err(|_| "TRIPLINE_PEER_KAFKA names no broker (.ci/peers)")?;
    let brokers = format!("127.0.0.1:{}", port()?);
    let mut command = Command::new(program);
    command.args(["broker", "--storage-engine", "memory://tansu/", "--listener-url", &format!("tcp://{brokers}")]);
    command.args(["--advertised-listener-url", &format!("tcp://{brokers}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server(command.spawn().map_err(|error| error.to_string())?);
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &brokers).create().map_err(said)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let topic = NewTopic::new(TOPIC, 2, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
        match runtime.block_on(admin.create_topics([&topic], &options)) {
            Ok(made) if made.iter().all(Result::is_ok) => break,
            told if Instant::now() > until => return Err(format!("the broker makes no topic: {told:?}")),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    let source = format!(
        "kind = \"kafka\"\nbrokers = [\"{brokers}\"]\ntopics = [\"{TOPIC}\"]\ngroup = \"measured\"\nsecurity = \"none\"\n\
         session_timeout = \"6s\"\nfrom = \"beginning\"\n"
    );
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", &brokers).set("linger.ms", "20").set("batch.size", "1000000");
    settings.set("queue.buffering.max.messages", "1000000").set("queue.buffering.max.kbytes", "2000000");
    let producer: BaseProducer = settings.create().map_err(said)?;
    let producer = std::sync::Arc::new(producer);
    let send = move |lines: &[String]| {
        for line in lines {
            let mut record = BaseRecord::<(), str>::to(TOPIC).payload(line);
            while let Err((error, again)) = producer.send(record) {
                if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                    return Err(error.to_string());
                }
                producer.poll(Duration::from_millis(10));
                record = again;
            }
        }
        producer.flush(Duration::from_secs(60)).map_err(said)
    };
    let all = send.clone();
    let mut wire = Wire::new(source, move |load: &Load, _: &mut Service| all(&load.lines));
    wire.ahead = Some(Box::new(move |load| send(load.lines.get(..1).unwrap_or_default())));
    wire.keep.push(Box::new(server));
    Ok(wire)
}

/// A process that ends with the measurement.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn nats(place: &Place) -> Result<Wire, String> {
    let program =
        std::env::var("TRIPLINE_PEER_NATS").map_err(|_| "TRIPLINE_PEER_NATS names no nats-server (.ci/peers)")?;
    let at = port()?;
    let folder = place.path("nats");
    let config = format!("listen: \"127.0.0.1:{at}\"\njetstream {{ store_dir: \"{}\" }}\n", folder.display());
    place.write("nats.conf", &config)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(place.path("nats.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server(command.spawn().map_err(|error| error.to_string())?);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let address = format!("nats://127.0.0.1:{at}");
    let stream = runtime.block_on(async {
        let until = Instant::now() + Duration::from_secs(10);
        let client = loop {
            match async_nats::connect(&address).await {
                Ok(client) => break client,
                Err(error) if Instant::now() > until => return Err(error.to_string()),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let stream = jetstream::new(client);
        let config =
            jetstream::stream::Config { name: "LOGS".into(), subjects: vec![TOPIC.into()], ..Default::default() };
        stream.create_stream(config).await.map_err(|error| error.to_string())?;
        Ok(stream)
    })?;
    let source = format!(
        "kind = \"nats\"\nservers = [\"{address}\"]\nstream = \"LOGS\"\nconsumer = \"measured\"\nmax_ack_pending = 10_000\n"
    );
    let mut wire = Wire::new(source, move |load: &Load, _: &mut Service| {
        runtime.block_on(async {
            let mut waiting = std::collections::VecDeque::new();
            for line in &load.lines {
                let sent = stream.publish(TOPIC, line.clone().into()).await.map_err(|error| error.to_string())?;
                waiting.push_back(sent);
                if waiting.len() > 2_000
                    && let Some(first) = waiting.pop_front()
                {
                    first.await.map_err(|error| error.to_string())?;
                }
            }
            for sent in waiting {
                sent.await.map_err(|error| error.to_string())?;
            }
            Ok(())
        })
    });
    wire.keep.push(Box::new(server));
    Ok(wire)
}
