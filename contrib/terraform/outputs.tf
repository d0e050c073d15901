# SPDX-License-Identifier: Apache-2.0

output "env_file" {
  description = "The variables that gantry.yaml asks for: terraform output -raw env_file >/etc/gantry/.env"
  value = join("", [for line in [
    "AWS_REGION=${var.region}",
    "CONSUMER_QUEUE_URL=${aws_sqs_queue.requests.url}",
    "CLUSTER_NAME=${aws_ecs_cluster.deployments.name}",
    "TASK_DEFINITION_MYSTICAL=${aws_ecs_task_definition.deployer.family}",
    "CONTAINER_MYSTICAL=${var.container}",
  ] : "${line}\n"])
}

output "network" {
  description = "The network key of the deployer in gantry.yaml."
  value = {
    subnets          = var.subnets
    security_groups  = [aws_security_group.deployments.id]
    assign_public_ip = var.assign_public_ip
  }
}

output "queue_url" {
  description = "CONSUMER_QUEUE_URL: the standard queue for requests."
  value       = aws_sqs_queue.requests.url
}

output "fifo_queue_url" {
  description = "CONSUMER_QUEUE_URL: the FIFO queue, where order within a message group matters."
  value       = aws_sqs_queue.ordered.url
}

output "events_queue_url" {
  description = "The queue of ECS task state changes."
  value       = aws_sqs_queue.events.url
}

output "repository_url" {
  description = "Where the deployer image is pushed."
  value       = aws_ecr_repository.deployer.repository_url
}

output "gantryd_role_arn" {
  description = "The role gantryd runs with."
  value       = aws_iam_role.gantryd.arn
}

output "gantryd_instance_profile" {
  description = "The same for an EC2 instance."
  value       = aws_iam_instance_profile.gantryd.name
}
