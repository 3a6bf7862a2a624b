//! The whole system: everything that `template.yaml` declares, started and wired.

mod accountant;
mod dynamodb;
mod functions;
mod options;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use posthaste_local_lambda::{ACCOUNT_ID, Function, REGION, route::Routes};
use posthaste_local_sqs::{Settings, Sqs};
use posthaste_local_template::{self as template, Stack};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

pub use dynamodb::{DynamoDb, DynamoDbError};
pub use options::{Functions, Options, Urls};

use crate::{
    admin::Admin,
    bill::{AccessLog, Meter, Terms, Usage},
    faults::{self, Faults},
    front::{Front, Names, Parts},
    gateway::{Gateway, Throttles},
    inbox::Inbox,
    metrics::{Depth, Metrics},
    scheduler::{Scheduler, TickError},
    secrets::Secrets,
    serve::Server,
    setup,
};
pub(crate) use accountant::{Accountant, Shown};

/// A running system. Dropping it ends every process and server.
pub struct System {
    urls: Urls,
    first_key: String,
    stack: Stack,
    sqs: Sqs,
    dynamodb: DynamoDb,
    faults: Faults,
    inbox: Inbox,
    functions: BTreeMap<String, Function>,
    metrics: Arc<dyn Fn() -> Metrics + Send + Sync>,
    accountant: Arc<Accountant>,
    scheduler: Arc<Scheduler>,
    schedules: JoinSet<()>,
    _servers: Vec<Server>,
    _tasks: JoinSet<()>,
}

/// What a local system needs, and the concurrency of production: no account's limit is to be shared here.
const LOCAL_PARAMETERS: [(&str, &str); 7] = [
    ("Stage", "local"),
    ("AllowHttp", "true"),
    ("AllowedCidrs", "127.0.0.0/8"),
    ("FanoutMaximumConcurrency", "50"),
    ("DeliverMaximumConcurrency", "200"),
    ("DrainMaximumConcurrency", "20"),
    ("ReplayMaximumConcurrency", "10"),
];

impl System {
    /// Starts everything; when it is there, requests are served.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        // reqwest is built without a TLS provider of its own. That one is installed already is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let aws = bind(0).await?;
        let aws_url = format!("http://{}", aws.local_addr()?);
        let api = bind(options.port).await.with_context(|| format!("port {} can't be used", options.port))?;
        let api_url = format!("http://{}", api.local_addr()?);

        let stack = stack_of(&options.template, &options.parameters, &aws_url, &api_url)?;
        let meter = Arc::<Meter>::default();
        let log = meter.counting(options.log);

        let mut tasks = JoinSet::new();
        let faults = Faults::default();
        if let Some(data) = &options.data {
            std::fs::create_dir_all(data).with_context(|| format!("{} can't be made", data.display()))?;
        }
        let dynamodb = dynamodb::start(options.data.as_deref(), &mut tasks).await?;
        dynamodb.create_tables(&stack).await?;

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
        let parts = Parts {
            sqs: sqs.clone(),
            dynamodb_url: dynamodb.url(),
            secrets,
            faults: faults.clone(),
            meter: meter.clone(),
            events_table: stack.outputs.get("EventsTable").cloned(),
        };
        let front = Arc::new(Front::new(parts, &stack.functions, names));
        let answering = front.clone();
        let mut servers = vec![Server::start(aws, move |request| answering.clone().answer(request))?];

        if let Some(file) = &options.environment_file {
            functions::write_environment(file, &functions::shared_environment(&stack, &aws_url))?;
        }
        let functions = functions::start(&stack, &options.functions, options.max_processes, &aws_url, &log)?;
        let _ = front.running.set(functions.clone());
        for resource in &stack.custom_resources {
            let function = functions
                .get(&resource.function)
                .with_context(|| format!("{} has no function", resource.logical_id))?;
            setup::create(resource, function).await?;
        }
        // The stack is made without faults: CloudFormation would only roll it back.
        faults.set(options.faults);
        functions::start_pollers(&stack, options.max_processes, &sqs, &functions, &meter, &mut tasks)?;
        tasks.spawn(faults::kill::at_random(faults.clone(), functions.clone()));
        let scheduler = Arc::new(Scheduler::new(&stack.functions, &functions));
        let schedules = scheduler.start();

        let routes = stack.routes.iter().map(|route| (route.route_key.clone(), route.function.clone()));
        let throttles = Throttles::new(stack.throttling);
        let gateway =
            Gateway { routes: Routes::new(routes)?, functions: functions.clone(), throttles, faults: faults.clone() };
        let gateway = Arc::new(gateway);
        let access_log = Arc::new(AccessLog::of(&options.template, meter.clone())?);
        servers.push(Server::start(api, move |request| {
            let (gateway, access_log) = (gateway.clone(), access_log.clone());
            async move {
                let request_seen = access_log.request(&request);
                let answer = gateway.answer(request).await;
                access_log.answered(&request_seen, &answer);
                Some(answer)
            }
        })?);

        let inbox = Inbox::default();
        let (inbox_server, inbox_url) = inbox.serve(bind(0).await?)?;
        servers.push(inbox_server);

        let metrics = metrics(front, sqs.clone(), functions.clone());
        let accountant = Arc::new(Accountant {
            meter,
            functions: functions.clone(),
            stack: stack.clone(),
            dynamodb: dynamodb.clone(),
            inbox: inbox.clone(),
            template: options.template,
            parameters: options.parameters,
        });
        let admin = Arc::new(Admin {
            metrics: metrics.clone(),
            accountant: accountant.clone(),
            faults: faults.clone(),
            scheduler: scheduler.clone(),
        });
        let admin = Server::start(bind(0).await?, move |request| {
            let admin = admin.clone();
            async move { Some(admin.answer(&request).await) }
        })?;
        let urls = Urls {
            api: api_url,
            inbox: inbox_url,
            admin: admin.url(),
            sqs: aws_url.clone(),
            dynamodb: aws_url.clone(),
        };
        servers.push(admin);
        Ok(Self {
            urls,
            first_key,
            stack,
            sqs,
            dynamodb,
            faults,
            inbox,
            functions,
            metrics,
            accountant,
            scheduler,
            schedules,
            _servers: servers,
            _tasks: tasks,
        })
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

    /// What AWS would have counted until now.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn usage(&self) -> Result<Usage, DynamoDbError> {
        self.accountant.usage().await
    }

    /// How long the template keeps what it stores.
    ///
    /// # Errors
    /// The template does not say it.
    pub fn terms(&self) -> anyhow::Result<Terms> {
        self.accountant.terms()
    }

    /// Faults, to be changed or aimed.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The receiver.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The embedded DynamoDB.
    pub fn dynamodb(&self) -> &DynamoDb {
        &self.dynamodb
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

    /// Invokes a function with the event of its schedule now, beside the invocations that its schedule makes, and waits for its
    /// answer. A function with several schedules is invoked once for each, enabled or not.
    ///
    /// # Errors
    /// There is no such schedule, or the function failed. Lambda's retries are left out.
    pub async fn tick(&self, function: &str) -> Result<(), TickError> {
        self.scheduler.tick(function).await
    }

    /// Ends the schedules and every process, and waits until they are gone.
    pub async fn stop(mut self) {
        self.schedules.shutdown().await;
        for function in self.functions.values() {
            function.stop().await;
        }
    }
}

async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    Ok(TcpListener::bind(("127.0.0.1", port)).await?)
}

/// Where a system is, whose AWS and API have these addresses.
pub(crate) fn context(aws_url: &str, api_url: &str) -> template::Context {
    template::Context {
        region: REGION.to_owned(),
        account: ACCOUNT_ID.to_owned(),
        partition: "aws".to_owned(),
        stack_name: "posthaste".to_owned(),
        sqs_base_url: aws_url.to_owned(),
        api_url: api_url.to_owned(),
    }
}

/// The stack that a template declares with the parameters that a local system needs, and these.
pub(crate) fn stack_of(
    text: &str,
    parameters: &BTreeMap<String, String>,
    aws_url: &str,
    api_url: &str,
) -> Result<Stack, template::TemplateError> {
    let mut all: BTreeMap<String, String> = LOCAL_PARAMETERS.map(owned).into();
    all.extend(parameters.clone());
    template::load(text, &all, &context(aws_url, api_url))
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
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
