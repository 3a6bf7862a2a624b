//! A system starts from the inside out: first the services, then the functions that call them, and
//! then the addresses by which the system is reached.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Context;
use posthaste_local_lambda::{Function, route::Routes};
use posthaste_local_template::Stack;
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    Accountant, Options, System, Urls,
    functions::{self, Addresses},
    services::Services,
    stack_of,
};
use crate::{
    admin::Admin,
    bill::{AccessLog, Meter},
    faults::{self, Faults},
    gateway::{Gateway, Throttles},
    inbox::Inbox,
    metrics::Instruments,
    scheduler::Scheduler,
    serve::Server,
    setup,
};

/// The inside of a system: everything but the addresses of the API, the inboxes and the admin.
struct Inside {
    stack: Stack,
    services: Services,
    functions: BTreeMap<String, Function>,
    meter: Arc<Meter>,
    faults: Faults,
    tasks: JoinSet<()>,
}

impl System {
    /// Starts everything. Requests are served once it returns.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        // reqwest is built without a TLS provider of its own. One that is installed already will
        // do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The stack has the addresses of AWS and of the API in it.
        let aws = bind(0).await?;
        let aws_url = format!("http://{}", aws.local_addr()?);
        let api = bind(options.port)
            .await
            .with_context(|| format!("port {} can't be used", options.port))?;
        let api_url = format!("http://{}", api.local_addr()?);
        let inbox = bind(0).await?;
        let stack = stack_of(&options.template, &options.parameters, &aws_url, &api_url)?;

        let meter = Arc::<Meter>::default();
        let faults = Faults::default();
        let mut tasks = JoinSet::new();
        let data = options.data.as_deref();
        let services = Services::start(aws, &stack, data, &faults, &meter, &mut tasks).await?;

        let addresses =
            Addresses { aws: aws_url, inbox: format!("http://{}", inbox.local_addr()?) };
        if let Some(file) = &options.environment_file {
            functions::write_environment(file, &functions::shared_environment(&stack, &addresses))?;
        }
        let log = meter.counting(options.log);
        let most = options.max_processes;
        let functions = functions::start(&stack, &options.functions, most, &addresses, &log)?;
        let _ = services.front.running.set(functions.clone());
        create_custom_resources(&stack, &functions).await?;
        // The stack is made without faults: CloudFormation would only roll it back.
        faults.set(options.faults);
        functions::start_pollers(&stack, most, &services.sqs, &functions, &meter, &mut tasks)?;
        tasks.spawn(faults::kill::at_random(faults.clone(), functions.clone()));

        let inside = Inside { stack, services, functions, meter, faults, tasks };
        inside.open(api, inbox, options.template, options.parameters).await
    }
}

impl Inside {
    /// Opens the system: its schedules begin, and its addresses answer.
    async fn open(
        self,
        api: TcpListener,
        inbox_listener: TcpListener,
        template: String,
        parameters: BTreeMap<String, String>,
    ) -> anyhow::Result<System> {
        let scheduler = Arc::new(Scheduler::new(&self.stack.functions, &self.functions));
        let schedules = scheduler.start();
        let access_log = AccessLog::of(&template, self.meter.clone())?;
        let inbox = Inbox::default();
        let accountant = Arc::new(Accountant {
            meter: self.meter,
            functions: self.functions.clone(),
            stack: self.stack.clone(),
            dynamodb: self.services.dynamodb.clone(),
            inbox: inbox.clone(),
            template,
            parameters,
        });
        let instruments = Arc::new(Instruments {
            front: self.services.front,
            sqs: self.services.sqs.clone(),
            functions: self.functions.clone(),
        });
        let admin = Admin {
            instruments: instruments.clone(),
            accountant: accountant.clone(),
            faults: self.faults.clone(),
            scheduler: scheduler.clone(),
        };
        let gateway = gateway(&self.stack, &self.functions, &self.faults)?;
        let api_server = serve_api(api, gateway, access_log)?;
        let (inbox_server, inbox_url) = inbox.serve(inbox_listener)?;
        let admin_server = serve_admin(bind(0).await?, admin)?;
        let urls = Urls {
            api: api_server.url(),
            inbox: inbox_url,
            admin: admin_server.url(),
            sqs: self.services.server.url(),
            dynamodb: self.services.server.url(),
        };
        Ok(System {
            urls,
            first_key: self.services.first_key,
            stack: self.stack,
            sqs: self.services.sqs,
            dynamodb: self.services.dynamodb,
            faults: self.faults,
            inbox,
            functions: self.functions,
            instruments,
            accountant,
            scheduler,
            schedules,
            _servers: [self.services.server, api_server, inbox_server, admin_server],
            _tasks: self.tasks,
        })
    }
}

pub(super) async fn bind(port: u16) -> anyhow::Result<TcpListener> {
    Ok(TcpListener::bind(("127.0.0.1", port)).await?)
}

async fn create_custom_resources(
    stack: &Stack,
    functions: &BTreeMap<String, Function>,
) -> anyhow::Result<()> {
    for resource in &stack.custom_resources {
        let function = functions
            .get(&resource.function)
            .with_context(|| format!("{} has no function", resource.logical_id))?;
        setup::create(resource, function).await?;
    }
    Ok(())
}

fn gateway(
    stack: &Stack,
    functions: &BTreeMap<String, Function>,
    faults: &Faults,
) -> anyhow::Result<Gateway> {
    let routes = stack.routes.iter().map(|route| (route.route_key.clone(), route.function.clone()));
    Ok(Gateway {
        routes: Routes::new(routes)?,
        functions: functions.clone(),
        throttles: Throttles::new(stack.throttling),
        faults: faults.clone(),
    })
}

fn serve_api(
    listener: TcpListener,
    gateway: Gateway,
    access_log: AccessLog,
) -> anyhow::Result<Server> {
    let api = Arc::new((gateway, access_log));
    let server = Server::start(listener, move |request| {
        let api = api.clone();
        async move {
            let (gateway, access_log) = &*api;
            let seen = access_log.request(&request);
            let answer = gateway.answer(request).await;
            access_log.answered(&seen, &answer);
            Some(answer)
        }
    })?;
    Ok(server)
}

fn serve_admin(listener: TcpListener, admin: Admin) -> anyhow::Result<Server> {
    let admin = Arc::new(admin);
    let server = Server::start(listener, move |request| {
        let admin = admin.clone();
        async move { Some(admin.answer(&request).await) }
    })?;
    Ok(server)
}
