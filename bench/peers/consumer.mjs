// SPDX-License-Identifier: Apache-2.0
// What people write around sqs-consumer: a RunTask for each message, which is deleted when that has succeeded.
//
//   MODE   batch: handleMessageBatch, ten at a time, deleted in one call;  plain: handleMessage, each deleted by itself
//   DRAIN  1: on SIGINT it takes nothing more and lets what it has end, as sqs-consumer's README shows
import { ECSClient, RunTaskCommand } from "@aws-sdk/client-ecs";
import { SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const ecs = new ECSClient({});

async function launch(message) {
	const { project } = JSON.parse(message.Body);
	const answer = await ecs.send(new RunTaskCommand({
		cluster: "prod",
		taskDefinition: "deployer:1",
		launchType: "FARGATE",
		count: 1,
		networkConfiguration: { awsvpcConfiguration: { subnets: ["subnet-1"], securityGroups: ["sg-1"] } },
		overrides: { containerOverrides: [{ name: "app", environment: [{ name: "PROJECT", value: project }] }] },
	}));
	if (!answer.tasks?.length)
		throw new Error(`no task: ${JSON.stringify(answer.failures)}`);
	return message;
}

const handlers = {
	batch: { handleMessageBatch: (messages) => Promise.all(messages.map(launch)) },
	plain: { handleMessage: launch },
};

const consumer = Consumer.create({
	queueUrl: process.env.QUEUE_URL,
	sqs: new SQSClient({}),
	batchSize: 10,
	waitTimeSeconds: 20,
	pollingCompleteWaitTimeMs: process.env.DRAIN ? 8000 : 0,
	...handlers[process.env.MODE],
});

for (const event of ["error", "processing_error", "timeout_error"])
	consumer.on(event, (error) => console.error(`${event}: ${error.message}`));
if (process.env.DRAIN) {
	consumer.on("stopped", () => process.exit(0));
	process.on("SIGINT", () => consumer.stop());
}
consumer.on("started", () => process.send?.("ready"));
consumer.start();
