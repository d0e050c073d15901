# SPDX-License-Identifier: Apache-2.0
#
# Two queues for requests, either of which will do: the standard one takes any rate, the FIFO one
# keeps the order of each message group. What could not be understood, or came back too often, is
# in the dead-letter queues for two weeks.

locals {
  two_weeks_s = 1209600
  kms_key     = var.kms_key_arn == "" ? null : var.kms_key_arn
}

resource "aws_sqs_queue" "requests_dead" {
  name                      = "${var.name}-requests-dead"
  message_retention_seconds = local.two_weeks_s
  kms_master_key_id         = local.kms_key
  sqs_managed_sse_enabled   = local.kms_key == null ? true : null
}

resource "aws_sqs_queue" "requests" {
  name                       = "${var.name}-requests"
  visibility_timeout_seconds = var.visibility_timeout
  receive_wait_time_seconds  = 20
  message_retention_seconds  = local.two_weeks_s
  kms_master_key_id          = local.kms_key
  sqs_managed_sse_enabled    = local.kms_key == null ? true : null
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.requests_dead.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "requests_dead" {
  queue_url = aws_sqs_queue.requests_dead.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.requests.arn]
  })
}

resource "aws_sqs_queue" "ordered_dead" {
  name                      = "${var.name}-requests-dead.fifo"
  fifo_queue                = true
  message_retention_seconds = local.two_weeks_s
  kms_master_key_id         = local.kms_key
  sqs_managed_sse_enabled   = local.kms_key == null ? true : null
}

# Deduplication and throughput count by message group, so that projects do not slow each other.
resource "aws_sqs_queue" "ordered" {
  name                        = "${var.name}-requests.fifo"
  fifo_queue                  = true
  content_based_deduplication = false
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
  visibility_timeout_seconds  = var.visibility_timeout
  receive_wait_time_seconds   = 20
  message_retention_seconds   = local.two_weeks_s
  kms_master_key_id           = local.kms_key
  sqs_managed_sse_enabled     = local.kms_key == null ? true : null
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.ordered_dead.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "ordered_dead" {
  queue_url = aws_sqs_queue.ordered_dead.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.ordered.arn]
  })
}
