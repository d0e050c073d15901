# SPDX-License-Identifier: Apache-2.0

variable "region" {
  description = "Where everything is made."
  type        = string
  default     = "us-east-1"
}

variable "name" {
  description = "Prefix of all names."
  type        = string
  default     = "gantry"
}

variable "tags" {
  description = "More tags for everything."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "The VPC that deployment tasks run in."
  type        = string
}

variable "subnets" {
  description = "Its subnets for them; in several zones, so that one without capacity is not the end."
  type        = list(string)
}

variable "assign_public_ip" {
  description = "Whether tasks get a public address. Needed in subnets that have no NAT gateway or VPC endpoints."
  type        = bool
  default     = false
}

variable "container" {
  description = "Name of the container whose exit code is the result of a deployment."
  type        = string
  default     = "deployer"
}

variable "image_tag" {
  description = "Which image of the repository tasks run."
  type        = string
  default     = "latest"
}

variable "cpu" {
  description = "CPU units of a task."
  type        = number
  default     = 512
}

variable "memory" {
  description = "Memory of a task, MiB."
  type        = number
  default     = 1024
}

variable "publish_bucket" {
  description = "An existing S3 bucket that deployments publish to."
  type        = string
}

variable "visibility_timeout" {
  description = "Seconds that a received message stays hidden; gantryd extends it while the job runs."
  type        = number
  default     = 120

  validation {
    condition     = var.visibility_timeout >= 30 && var.visibility_timeout <= 43200
    error_message = "Must be from 30 to 43200 seconds."
  }
}

variable "max_receive_count" {
  description = "Receives after which SQS moves a message to the dead-letter queue. A stop of gantryd may give messages back, which counts, so not a small number."
  type        = number
  default     = 10

  validation {
    condition     = var.max_receive_count >= 3 && var.max_receive_count <= 1000
    error_message = "Must be from 3 to 1000; with 1, a receive that is cut off loses its messages to the dead-letter queue."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the output of deployments."
  type        = number
  default     = 30
}

variable "kms_key_arn" {
  description = "A KMS key for the two request queues and their dead-letter queues; empty: SQS encrypts with its own."
  type        = string
  default     = ""
}

variable "sns_topic_arn" {
  description = "A topic that gantryd publishes results to; empty: none."
  type        = string
  default     = ""
}

variable "gantryd_principals" {
  description = "Services that may take gantryd's role: ec2.amazonaws.com for an instance, ecs-tasks.amazonaws.com for a task."
  type        = list(string)
  default     = ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]
}
