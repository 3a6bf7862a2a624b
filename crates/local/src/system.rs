//! The whole system: everything that `template.yaml` declares, started and wired.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use dynoxide::Database;
use posthaste_local_lambda::{ACCOUNT_ID, Function, FunctionSpec, LogSink, REGION, Runner, route::Routes};
use posthaste_local_sqs::{Settings, Sqs};
use posthaste_local_template::{self as template, Stack};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    admin::Admin,
    faults::{FaultSpec, Faults},
    front::{Front, Names},
    gateway::Gateway,
    inbox::Inbox,
    metrics::{Depth, Metrics},
    poller::Poller,
    secrets::Secrets,
    serve::Server,
    setup,
};

/// The most processes of one function. AWS would go on to the mapping's or the account's limit.
const MAX_PROCESSES: usize = 8;

/// The poller acts in the function's role: AWS refuses a mapping whose function may not do these
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>).
const POLLER_ACTIONS: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

/// What runs the functions.
#[derive(Debug, Clone)]
pub enum Functions {
    /// Processes of these binaries, by name.
    Processes(BTreeMap<String, PathBuf>),
    /// Somebody else, at this base URL of Lambda's Invoke API: `cargo lambda watch`.
    External(String),
}

/// How to start a system.
#[derive(Debug, Clone)]
pub struct Options {
    /// The text of the SAM template.
    pub template: String,
    /// What runs the functions.
    pub functions: Functions,
    /// The API's port; 0 picks a free one.
    pub port: u16,
    /// Where DynamoDB's data and the secrets are kept; in memory unless given.
    pub data: Option<PathBuf>,
    /// Random faults.
    pub faults: FaultSpec,
    /// Parameters of the template, beside those that a local system needs.
    pub parameters: BTreeMap<String, String>,
    /// Takes what the functions write.
    pub log: LogSink,
    /// Where to write, before anything waits for functions that somebody else runs, what these need in their environment.
    pub environment_file: Option<PathBuf>,
}

/// Where a running system is reached: base URLs without a trailing slash.
#[derive(Debug, Clone, Serialize)]
pub struct Urls {
    /// The HTTP API.
    pub api: String,
    /// The receiver; requests go to `/inbox/<name>`.
    pub inbox: String,
    /// Figures and faults.
    pub admin: String,
    /// SQS.
    pub sqs: String,
    /// DynamoDB.
    pub dynamodb: String,
}

/// A running system. Dropping it ends every process and server.
pub struct System {
    urls: Urls,
    first_key: String,
    stack: Stack,
    sqs: Sqs,
    faults: Faults,
    inbox: Inbox,
    functions: BTreeMap<String, Function>,
    metrics: Arc<dyn Fn() -> Metrics + Send + Sync>,
    _servers: Vec<Server>,
    _tasks: JoinSet<()>,
}

impl System {
    /// Starts everything; when it is there, requests are served.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        // reqwest is built without a TLS provider of its own. That one is installed already is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let aws = bind(0).await?;
        let aws_url = format!("http://{}", aws.local_addr()?);
        let api = bind(options.port).await.with_context(|| format!("port {} can't be used", options.port))?;
        let api_url = format!("http://{}", api.local_addr()?);

        let mut parameters: BTreeMap<String, String> =
            [("Stage", "local"), ("AllowHttp", "true"), ("AllowedCidrs", "127.0.0.0/8")].map(owned).into();
        parameters.extend(options.parameters);
        let context = template::Context {
            region: REGION.to_owned(),
            account: ACCOUNT_ID.to_owned(),
            partition: "aws".to_owned(),
            stack_name: "posthaste".to_owned(),
            sqs_base_url: aws_url.clone(),
            api_url: api_url.clone(),
        };
        let stack = template::load(&options.template, &parameters, &context)?;

        let mut tasks = JoinSet::new();
        let faults = Faults::default();
        if let Some(data) = &options.data {
            std::fs::create_dir_all(data).with_context(|| format!("{} can't be made", data.display()))?;
        }
        let dynamodb = match &options.data {
            Some(data) => Database::new(&data.join("dynamodb.sqlite").to_string_lossy()),
            None => Database::memory(),
        };
        let dynamodb = dynamodb.context("DynamoDB did not start")?;
        let dynamodb_listener = bind(0).await?;
        let dynamodb_url = format!("http://{}", dynamodb_listener.local_addr()?);
        tasks.spawn(dynoxide::server::serve_on(dynamodb_listener, dynamodb));
        create_tables(&dynamodb_url, &stack).await?;

        let sqs =
            Sqs::new(Settings { base_url: aws_url.clone(), region: REGION.to_owned(), account: ACCOUNT_ID.to_owned() });
        create_queues(&sqs, &stack).await?;
        let duplicating = faults.clone();
        sqs.set_duplicator(Some(Box::new(move || duplicating.duplicates())));

        let secrets = Secrets::make(&stack.secrets, options.data.as_deref())?;
        let first_key = first_key(&stack, &secrets)?;
        let names = Names {
            tables: stack.tables.iter().map(|table| (table.name.clone(), table.arn.clone())).collect(),
            queues: stack.queues.iter().map(|queue| (queue.name.clone(), queue.arn.clone())).collect(),
        };
        let front = Arc::new(Front::new(sqs.clone(), dynamodb_url, secrets, faults.clone(), &stack.functions, names));
        let answering = front.clone();
        let mut servers = vec![Server::start(aws, move |request| answering.clone().answer(request))?];

        if let Some(file) = &options.environment_file {
            write_environment(file, &shared_environment(&stack, &aws_url))?;
        }
        let functions = start_functions(&stack, &options.functions, &aws_url, &options.log)?;
        let _ = front.running.set(functions.clone());
        for resource in &stack.custom_resources {
            let function = functions
                .get(&resource.function)
                .with_context(|| format!("{} has no function", resource.logical_id))?;
            setup::create(resource, function).await?;
        }
        // The stack is made without faults: CloudFormation would only roll it back.
        faults.set(options.faults);
        start_pollers(&stack, &sqs, &functions, &mut tasks)?;
        tasks.spawn(kill_at_random(faults.clone(), functions.clone()));

        let routes = stack.routes.iter().map(|route| (route.route_key.clone(), route.function.clone()));
        let gateway = Arc::new(Gateway { routes: Routes::new(routes)?, functions: functions.clone() });
        servers.push(Server::start(api, move |request| {
            let gateway = gateway.clone();
            async move { Some(gateway.answer(request).await) }
        })?);

        let inbox = Inbox::default();
        let (inbox_server, inbox_url) = inbox.serve(bind(0).await?)?;
        servers.push(inbox_server);

        let metrics = metrics(front, sqs.clone(), functions.clone());
        let admin = Arc::new(Admin { metrics: metrics.clone(), faults: faults.clone() });
        let admin = Server::start(bind(0).await?, move |request| {
            let admin = admin.clone();
            async move { Some(admin.answer(&request)) }
        })?;
        let urls = Urls {
            api: api_url,
            inbox: inbox_url,
            admin: admin.url(),
            sqs: aws_url.clone(),
            dynamodb: aws_url.clone(),
        };
        servers.push(admin);
        Ok(Self { urls, first_key, stack, sqs, faults, inbox, functions, metrics, _servers: servers, _tasks: tasks })
    }

    /// Where it is reached.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// The first API key, which has every scope.
    pub fn first_key(&self) -> &str {
        &self.first_key
    }

    /// The process ids of the functions that run now.
    pub fn pids(&self) -> Vec<u32> {
        self.functions.values().flat_map(Function::pids).collect()
    }

    /// All figures.
    pub fn metrics(&self) -> Metrics {
        (self.metrics)()
    }

    /// Faults, to be changed or aimed.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The receiver.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// SQS.
    pub fn sqs(&self) -> &Sqs {
        &self.sqs
    }

    /// What the template declares.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// A function.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }

    /// Ends every process and waits until they are gone.
    pub async fn stop(self) {
        for function in self.functions.values() {
            function.stop().await;
        }
    }
}

async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    Ok(TcpListener::bind(("127.0.0.1", port)).await?)
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

async fn create_tables(url: &str, stack: &Stack) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let call = async |operation: &str, body: &Value| -> anyhow::Result<()> {
        let credential = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
        let request = client
            .post(url)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", credential)
            .header("content-type", "application/x-amz-json-1.0")
            .body(body.to_string());
        let answer = request.send().await?;
        if answer.status().is_success() {
            return Ok(());
        }
        let text = answer.text().await?;
        // Kept data has its tables already.
        if text.contains("ResourceInUseException") || text.contains("TimeToLive is already enabled") {
            Ok(())
        } else {
            bail!("{operation}: {text}")
        }
    };
    for table in &stack.tables {
        call("CreateTable", &table.create_request).await.with_context(|| table.logical_id.clone())?;
        if let Some(attribute) = &table.ttl_attribute {
            let ttl = json!({ "TableName": table.name, "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true } });
            call("UpdateTimeToLive", &ttl).await.with_context(|| table.logical_id.clone())?;
        }
    }
    Ok(())
}

async fn create_queues(sqs: &Sqs, stack: &Stack) -> anyhow::Result<()> {
    for queue in &stack.queues {
        let body = json!({ "QueueName": queue.name, "Attributes": queue.attributes }).to_string();
        sqs.call("CreateQueue", body.as_bytes()).await.with_context(|| queue.logical_id.clone())?;
    }
    Ok(())
}

/// The first key is `spk_live_` and the value of the secret, as the template says.
fn first_key(stack: &Stack, secrets: &Secrets) -> anyhow::Result<String> {
    let arn = stack.outputs.get("FirstKeySecretArn").context("the template has no output FirstKeySecretArn")?;
    let value = secrets.value(arn).context("the first key's secret is not in the template")?;
    Ok(format!("spk_live_{value}"))
}

fn write_environment(file: &Path, environment: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let lines: String = environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    std::fs::write(file, lines).with_context(|| format!("{} can't be written", file.display()))
}

/// All variables of all functions, and where AWS is.
fn shared_environment(stack: &Stack, aws_url: &str) -> BTreeMap<String, String> {
    let mut environment: BTreeMap<String, String> =
        stack.functions.iter().flat_map(|function| function.environment.clone()).collect();
    environment.extend(
        [
            ("AWS_ENDPOINT_URL", aws_url),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]
        .map(owned),
    );
    environment
}

fn start_functions(
    stack: &Stack,
    runner: &Functions,
    aws_url: &str,
    log: &LogSink,
) -> anyhow::Result<BTreeMap<String, Function>> {
    let start = |function: &template::Function| {
        let name = &function.name;
        let runner = match runner {
            Functions::Processes(binaries) => Runner::Process {
                binary: binaries.get(name).with_context(|| format!("there is no binary {name}"))?.clone(),
            },
            Functions::External(base) => {
                Runner::External { invoke_url: format!("{base}/2015-03-31/functions/{name}/invocations") }
            }
        };
        let mut environment = function.environment.clone();
        environment.insert("AWS_ENDPOINT_URL".to_owned(), aws_url.to_owned());
        let spec = FunctionSpec {
            name: name.clone(),
            runner,
            environment,
            timeout: function.timeout,
            memory_mb: function.memory_mb,
            max_concurrency: MAX_PROCESSES,
        };
        Ok((name.clone(), Function::start(spec, log.clone())?))
    };
    stack.functions.iter().map(start).collect()
}

fn start_pollers(
    stack: &Stack,
    sqs: &Sqs,
    functions: &BTreeMap<String, Function>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    for declared in &stack.functions {
        let Some(function) = functions.get(&declared.name) else { continue };
        for mapping in declared.queues.iter().filter(|mapping| mapping.enabled) {
            let arn = &mapping.queue_arn;
            if let Some(action) = POLLER_ACTIONS.into_iter().find(|action| !declared.allows(action, arn)) {
                bail!("the role of {} does not permit {action} on {arn}, which its mapping needs", declared.logical_id);
            }
            let poller = Poller {
                sqs: sqs.clone(),
                queue: mapping.queue_arn.rsplit(':').next().unwrap_or_default().to_owned(),
                concurrency: mapping.max_concurrency.unwrap_or(MAX_PROCESSES).min(MAX_PROCESSES),
                mapping: mapping.clone(),
                function: function.clone(),
            };
            tasks.spawn(poller.run());
        }
    }
    Ok(())
}

/// Kills a random busy process at the interval that the faults ask for.
async fn kill_at_random(faults: Faults, functions: BTreeMap<String, Function>) {
    const LOOK_AGAIN: Duration = Duration::from_millis(100);
    let functions: Vec<Function> = functions.into_values().collect();
    loop {
        let Some(interval) = faults.spec().kill else {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        tokio::time::sleep(interval).await;
        if faults.spec().kill.is_none() {
            continue;
        }
        let first = faults.roll(functions.len().max(1));
        let pick = |busy: &[u64]| (!busy.is_empty()).then(|| busy[faults.roll(busy.len())]);
        let _ = functions.iter().cycle().skip(first).take(functions.len()).any(|function| function.kill_busy(pick));
    }
}

fn metrics(
    front: Arc<Front>,
    sqs: Sqs,
    functions: BTreeMap<String, Function>,
) -> Arc<dyn Fn() -> Metrics + Send + Sync> {
    Arc::new(move || {
        let depth = |queue: posthaste_local_sqs::QueueDepth| {
            (queue.name, Depth { visible: queue.visible, in_flight: queue.in_flight, delayed: queue.delayed })
        };
        Metrics {
            calls: front.counters.snapshot(),
            functions: functions.iter().map(|(name, function)| (name.clone(), function.stats())).collect(),
            queues: sqs.queues().into_iter().map(depth).collect(),
        }
    })
}
