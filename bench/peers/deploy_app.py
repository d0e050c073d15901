# SPDX-License-Identifier: Apache-2.0
"""What people write around Celery: a task that asks ECS for a task, with botocore's client of the process."""

import os

import botocore.session
from celery import Celery
from celery.signals import worker_process_init, worker_ready

app = Celery("deploy_app", broker=os.environ["BROKER_URL"])
app.conf.task_ignore_result = True
if os.environ["BROKER_URL"].startswith("sqs:"):
    app.conf.broker_transport_options = {
        "region": os.environ["AWS_REGION"], "is_secure": False, "wait_time_seconds": 20, "visibility_timeout": 30,
        "predefined_queues": {"celery": {
            "url": os.environ["QUEUE_URL"], "access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
            "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"]}},
    }
clients = {}


@worker_process_init.connect
def make_client(**_):
    clients["ecs"] = botocore.session.get_session().create_client(
        "ecs", region_name=os.environ["AWS_REGION"], endpoint_url=os.environ["ENDPOINT_URL"])


@worker_ready.connect
def tell(**_):
    print("deploy_app is ready", flush=True)


@app.task(name="deploy")
def deploy(project):
    answer = clients["ecs"].run_task(
        cluster="prod", taskDefinition="deployer:1", launchType="FARGATE", count=1,
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}},
        overrides={"containerOverrides": [{"name": "app", "environment": [{"name": "PROJECT", "value": project}]}]})
    if not answer["tasks"]:
        raise RuntimeError(f"no task: {answer['failures']}")
